"""`sessions list` and `show` where a layout keeps its chats in SQL alone. Only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from chatctl.domain.instants import iso, to_epoch_ms
from chatctl.domain.result import Result
from chatctl.errors import NotFoundError, UsageError

_LAST = ("accessed_at", "updated_at")


class Chat(Protocol):
    """One chat as a store gives it."""

    @property
    def id(self) -> str:
        """What people call it."""

    @property
    def key(self) -> str:
        """What its row is known by."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """Its columns by chatctl's words."""

    @property
    def message_count(self) -> int:
        """How many messages it has."""

    @property
    def project_name(self) -> str | None:
        """The name of its project, if it has one."""


class Chats(Protocol):
    """The chats in SQL."""

    def newest(self, user: str | None, project: str | None, limit: int) -> tuple[Sequence[Chat], int]:
        """The newest chats, and how many there are in all."""

    def named(self, name: str) -> Sequence[Chat]:
        """The chats that are called so."""

    def messages(self, chat: Any) -> list[dict[str, Any]]:
        """A chat's messages, oldest first."""


def list_chats(chats: Chats, user: str | None, project: str | None, *, limit: int, offset: int = 0) -> Result:
    """Chats, newest first: everybody's, or those of a user, a project or both."""
    found, total = chats.newest(user, project, limit + offset)
    rows = [_row(chat) for chat in found[offset:]]
    return Result({"sessions": rows, "total": total, "limit": limit, "offset": offset})


def show_chat(chats: Chats, name: str) -> Result:
    """One chat and its messages. Raises NotFoundError, and UsageError where several are called so."""
    found = chats.named(name)
    if not found:
        raise NotFoundError(f"There is no chat '{name}'.", hint="chatctl sessions list")
    if len(found) > 1:
        keys = ", ".join(chat.key for chat in found)
        raise UsageError(f"{len(found)} chats are called '{name}'.", hint=f"Say the key of one: {keys}")
    chat = found[0]
    last = next((chat.fields[key] for key in _LAST if chat.fields.get(key)), None)
    data = {
        "id": chat.id,
        "archived": False,
        "last_active": _plain(last),
        "record": {key: _plain(value) for key, value in chat.fields.items()},
        "messages": [{key: _plain(value) for key, value in message.items()} for message in chats.messages(chat)],
    }
    return Result(data)


def _row(chat: Chat) -> dict[str, Any]:
    fields = chat.fields
    return {
        "id": chat.id,
        "chat_name": fields.get("title"),
        "user_id": fields.get("user_id", fields.get("account_id")),
        "chat_type": fields.get("chat_type"),
        "project_number": fields.get("project_id"),
        "project_name": chat.project_name,
        "page_name": fields.get("page_name"),
        "status": fields.get("status"),
        "created_at": _plain(fields.get("created_at")),
        "message_count": chat.message_count,
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: instants in UTC."""
    return iso(to_epoch_ms(value)) if isinstance(value, datetime) else value
