"""A command group that behaves in every way a command may, to test what all commands share."""

from __future__ import annotations

import errno
import sys
import time
from typing import Annotated, Any

import typer

from chatctl import errors
from chatctl.cli import lazy
from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import progress, run_unwired, stop
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import InterruptedRunError

app = group("Behave in every way a command may.")

#: Everything that could be mistaken for markup, an escape or a delimiter.
ROWS: list[dict[str, Any]] = [
    {"name": "[bold]plain[/bold]", "size": 1_234_567, "ok": True, "note": None},
    {"name": "a,b", "size": 2, "ok": False, "note": 'says "hi"'},
    {"name": "esc\x1b[31mred", "size": 3, "ok": True, "note": "two\nlines"},
    {"name": "نمونه 😀", "size": 4, "ok": True, "note": ":smile: \\N"},
]


def register() -> None:
    """Adds the group to the registry of commands."""
    entry = lazy.Deferred("specimen", __name__, "Behave in every way a command may.", "Tests")
    lazy.REGISTRY = (*lazy.REGISTRY, entry)


@app.command()
def show(ctx: typer.Context, outcome: Outcome = Outcome.DONE, o: Annotated[str, typer.Option("-o")] = "") -> None:
    """Answer with rows; -o is an option of its own."""
    warning = Notice("odd", "Something is odd at mysql://root:hunter2@db/x.", "Look at it.")
    data = {"state": "before", "own": o, "rows": ROWS}
    run_unwired(ctx, "specimen show", lambda: Result(data, outcome, "r-1", (warning,)))


@app.command()
def fail(ctx: typer.Context, name: str) -> None:
    """Raise the error class called NAME, with a secret in its message."""

    def work() -> Result:
        kind = getattr(errors, name, None) or {"KeyError": KeyError, "KeyboardInterrupt": KeyboardInterrupt}[name]
        raise kind("failed for postgresql://app:hunter2@db/chat")

    run_unwired(ctx, "specimen fail", work)


@app.command("break")
def break_(ctx: typer.Context, how: str) -> None:
    """Fail in a way that no service foresees."""

    def work() -> Result:
        if how == "full":
            raise OSError(errno.ENOSPC, "No space left on device", "out.csv")
        return Result({"not json": object()})

    if how == "outside":
        raise errors.NotFoundError("raised outside of the runtime")
    run_unwired(ctx, "specimen break", work)


@app.command()
def change(ctx: typer.Context, confirm: Confirm = None, dry_run: DryRun = False, loses: bool = False) -> None:
    """Ask for consent."""

    def work() -> Result:
        if not dry_run:
            consent(ctx, "Change it?", loses_data=loses)
        return Result({"changed": not dry_run})

    run_unwired(ctx, "specimen change", work)


@app.command()
def long(ctx: typer.Context, seconds: float = 30) -> None:
    """Work in batches until asked to stop."""

    def work() -> Result:
        shown, stopping = progress(ctx), stop(ctx)
        shown.start(100, "rows")
        shown.note("ready")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if stopping.requested:
                raise InterruptedRunError
            shown.advance(1)
            time.sleep(0.02)
        return Result({"rows": 100})

    run_unwired(ctx, "specimen long", work)


@app.command()
def stuck(ctx: typer.Context) -> None:
    """Never poll for a stop."""

    def work() -> Result:
        stop(ctx)
        progress(ctx).note("ready")
        time.sleep(30)
        return Result({"slept": True})

    run_unwired(ctx, "specimen stuck", work)


if __name__ == "__main__":
    from chatctl.cli.app import main

    register()
    sys.exit(main())
