"""How `chatctl doctor` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Code, Paragraph, rows
from chatctl.render.views import Data, view
from chatctl.render.views.findings import FINDING_COLUMNS, findings


@view("doctor", principal="findings", columns=FINDING_COLUMNS)
def doctor(data: Data) -> Iterator[Block]:
    """The checks, then what they found; with --grants the statements and nothing else."""
    if "groups" in data:
        for group in data["groups"]:
            lines = [f"-- {group['group']}: {group['title']}", *(f"{text};" for text in group["statements"])]
            yield Code("\n".join(lines))
        return
    if all(check["state"] is None for check in data["checks"]):
        yield rows(data["checks"], "name", "family", "for", "reason")
        return
    yield rows(data["checks"], "name", "state", "detail")
    if not data["findings"]:
        yield Paragraph("Nothing found.")
        return
    yield from findings(data["findings"])
