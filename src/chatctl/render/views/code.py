"""How `chatctl code` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Code, Paragraph, facts
from chatctl.render.views import Data, view
from chatctl.render.views.findings import FINDING_COLUMNS, findings


@view("code scan", principal="findings", columns=(*FINDING_COLUMNS, "before", "after"))
def scan(data: Data) -> Iterator[Block]:
    """The difference that was made, then what is left."""
    yield facts(data, "path", "rules")
    if data["diff"]:
        yield Code(data["diff"].rstrip("\n"))
        yield Paragraph("Written." if data["written"] else "Nothing was written.")
    yield from findings(data["findings"])
