"""How `chatctl smoke` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Paragraph, rows
from chatctl.render.views import Data, view

_CHECKS = ("system", "step", "ok", "status", "ms", "reason")


@view("smoke", principal="checks", columns=_CHECKS)
def smoke(data: Data) -> Iterator[Block]:
    """A row for each step, then the sum."""
    yield rows(data["checks"], *_CHECKS)
    total, failed = len(data["checks"]), data["failed"]
    yield Paragraph(f"{failed} of {total} steps failed." if failed else f"All {total} steps passed.")
