"""How `chatctl demo` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Paragraph, rows
from chatctl.render.views import Data, view


@view("demo run", principal="steps", columns=("command", "exit_code", "expected", "seconds"))
def run(data: Data) -> Iterator[Block]:
    """Each command, how it ended, and how it had to."""
    yield rows(data["steps"], "command", "exit_code", "expected", "seconds", title="The journey")
    if data["ok"]:
        yield Paragraph(f"Every command ended as it had to. The files are in {data['folder']}.")
