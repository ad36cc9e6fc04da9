"""How `chatctl runs` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Paragraph, facts, rows
from chatctl.render.views import Data, view

_RUNS = ("run_id", "command", "status", "by", "host", "started", "seconds", "error")
_FIGURES = ("phase", "batches", "rows", "seconds", "rows_per_second", "average_ms", "slowest_ms")
_PHASES = ("phase", "ranges", "ranges_done", "rows", "batches")


@view("runs list", principal="runs", columns=_RUNS)
def listing(data: Data) -> Iterator[Block]:
    """The runs, newest first."""
    yield rows(data["runs"], *_RUNS[:-1], empty="chatctl hasn't run anything here.")


@view("runs show", principal="phases", columns=_PHASES)
def show(data: Data) -> Iterator[Block]:
    """The run, what it was told, what it did, and its phases."""
    yield facts(data, "run_id", "command", "status", "layout", "by", "host", "started", "finished", "seconds", "error")
    yield facts(data["options"], title="Options")
    yield facts(data["totals"], title="Totals")
    yield rows(data["phases"], *_PHASES, title="Phases")


@view("runs report", principal="phases", columns=_FIGURES)
def report(data: Data) -> Iterator[Block]:
    """The run, its figures by phase, and a migration's statements."""
    yield facts(data, "run_id", "command", "status", "layout", "by", "host", "started", "finished", "seconds", "error")
    yield facts(data["totals"], title="Totals")
    yield rows(data["phases"], *_FIGURES, title="Phases")
    if data["statements"]:
        yield rows(data["statements"], "revision", "state", "seconds", "sql", title="Statements")


@view("runs prune", principal="runs", columns=("run_id", "command", "batches"))
def prune(data: Data) -> Iterator[Block]:
    """Whose batches went, or would go."""
    yield rows(data["runs"], "run_id", "command", "batches", empty="No old run has batches in the journal.")
    if data["runs"]:
        verb = "would be" if data["dry_run"] else "were"
        yield Paragraph(f"{sum(run['batches'] for run in data['runs']):,} batches {verb} deleted.")


@view("runs pause")
@view("runs resume")
@view("runs cancel")
def steered(data: Data) -> Iterator[Block]:
    """What the run is now, and was."""
    verb, was = ("would be", "is") if data["dry_run"] else ("is", "was")
    yield Paragraph(f"Run {data['run_id']} {verb} {data['status']}; it {was} {data['was']}.")


@view("runs unlock")
def unlock(data: Data) -> Iterator[Block]:
    """Whether anything was to be freed."""
    if data["dry_run"] and data["freed"]:
        yield Paragraph(f"The lock '{data['lock']}' is held; it would be freed if its holder is gone.")
    else:
        yield Paragraph(f"The lock '{data['lock']}' is free{'' if data['freed'] else ', and was'}.")
