"""How `chatctl rollback` answers people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatctl.render.blocks import Block, Paragraph, facts, rows
from chatctl.render.views import Data, view

_LOSSES = ("table", "column", "rows")
_CHECKS = ("name", "ok", "detail")


@view("rollback plan", principal="steps", columns=("step", "of", "what"))
def plan(data: Data) -> Iterator[Block]:
    """Where it leads, the steps, what they lose, what stays, and what people have to do."""
    if data["to"] is None:
        yield Paragraph("There is nothing to roll back.")
        return
    yield facts({"to": _spelled(data["to"]), "schema": data["revision"]})
    yield from (Paragraph(f"Can't be undone: {each}.") for each in data["stuck"])
    numbered = [{"": number, **step} for number, step in enumerate(data["steps"], 1)]
    yield rows(numbered, "", "step", "what", title="Steps")
    yield rows(data["losses"], *_LOSSES, title="Written since, and lost", empty="nothing")
    kept = [{"table": name, "rows": count} for name, count in data["kept"].items()]
    if kept:
        yield rows(kept, "table", "rows", title="Written since, and kept")
    yield from _by_hand(data)


@view("rollback run", principal="checks", columns=_CHECKS)
def run(data: Data) -> Iterator[Block]:
    """What was compared at the end, what was lost, and what people have to do; of a dry run, the plan."""
    if "checks" not in data or data["to"] is None:
        yield from plan(data)
        return
    yield facts({"to": _spelled(data["to"]), "schema": data["revision"], "ok": data["ok"]})
    yield rows(data["checks"], *_CHECKS, title="Checks")
    yield rows(data["losses"], *_LOSSES, title="Written since, and lost", empty="nothing")
    yield from _by_hand(data)


def _by_hand(data: Data) -> Iterator[Block]:
    if data["by_hand"]:
        yield rows([{"to do": each} for each in data["by_hand"]], "to do", title="By hand")


def _spelled(to: Mapping[str, Any]) -> str:
    return f"run {to['run_id']} ({to['command']}), {to['started'][:16].replace('T', ' ')}"
