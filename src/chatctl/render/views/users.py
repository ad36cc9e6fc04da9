"""How `chatctl users` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, rows
from chatctl.render.views import Data, view

_USERS = ("username", "email", "role", "user_id", "created_at")


@view("users list", principal="users", columns=("user_id", "username", "email", "role", "created_at"))
def list_users(data: Data) -> Iterator[Block]:
    """The accounts."""
    yield rows(data["users"], *_USERS, empty="There is no account.")
