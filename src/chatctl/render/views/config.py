"""How `chatctl config` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, facts, rows
from chatctl.render.views import Data, view


@view("config show", principal="settings")
def show(data: Data) -> Iterator[Block]:
    """The context, then its values."""
    yield _heading(data)
    yield rows(data["settings"])


@view("config check", principal="checks", columns=("name", "ok", "source"))
def check(data: Data) -> Iterator[Block]:
    """The context, then what was tried."""
    yield _heading(data)
    yield rows(data["checks"], "name", "ok", "source")


def _heading(data: Data) -> Block:
    return facts(data, "context", "contexts", "files", "data_dir")
