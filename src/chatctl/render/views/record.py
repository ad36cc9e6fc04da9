"""How `chatctl record` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, facts, rows
from chatctl.render.views import Data, view

_COLUMNS = ("item", "text", "how", "state", "proof", "by", "at")


@view("record start", principal="items", columns=_COLUMNS)
@view("record show", principal="items", columns=_COLUMNS)
@view("record check", principal="items", columns=_COLUMNS)
@view("record sign", principal="items", columns=_COLUMNS)
@view("record finish", principal="items", columns=_COLUMNS)
def record(data: Data) -> Iterator[Block]:
    """The record, then its list."""
    yield facts(
        data, "id", "title", "lead", "status", "started", "finished", "review", "downtime_seconds", "done", "open"
    )
    if data["contacts"]:
        yield rows(data["contacts"], "role", "name", title="Contacts")
    yield rows(data["items"], "item", "text", "how", "state", "proof", title="Completion list")
