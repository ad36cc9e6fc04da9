"""How `chatctl init` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Code, Paragraph, facts, rows
from chatctl.render.views import Data, view


@view("init", principal="recognised", columns=("layout", "state"))
def init(data: Data) -> Iterator[Block]:
    """What was found, then what was written; in a dry run the file itself."""
    yield facts(data, "context", "layout", "state", "database")
    if len(data["recognised"]) > 1:
        yield rows(data["recognised"], "layout", "state", title="The database fits")
    if data["written"]:
        yield Paragraph(f"Wrote {data['path']}.")
    else:
        yield Paragraph(f"{data['path']} would hold:")
        yield Code(data["content"].rstrip())
