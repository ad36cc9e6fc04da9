"""ray: a row of `messages` is a message and its response; a chat is a pair of project and chat, owned by a user.

Each method works in the caller's transaction. An ID may hold a colon, so the pair is never joined into one text: where
a layout's chats have a single key, it is a digest of the pair.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.serving.people import People
from chatctl.stores.sql.serving.rows import fitting, new_id
from chatctl.stores.sql.tables import LayoutTables


@dataclass(frozen=True)
class RayChat:
    """A chat as its row has it; `owner` is None where nobody has written to it yet."""

    key: Any
    owner: str | None
    context: dict[str, Any]
    accessed_at: datetime | None


class RayRows:
    """The rows."""

    def __init__(self, tables: LayoutTables) -> None:
        self._chats = tables["chats"]
        self._messages = tables["messages"]
        self.people = People(tables)
        for key in ("project_id", "chat_id", "user_id", "response"):
            tables.column("messages", key)
        tables.column("chats", "context")
        #: Whether a chat's row names its pair, rather than a digest of it.
        self._paired = "chat_id" in self._chats.c

    def chat(self, connection: sa.Connection, project: str, chat: str, *, locked: bool = False) -> RayChat | None:
        """The chat of that pair."""
        table = self._chats
        query = sa.select(table.c.id, table.c.context, table.c.accessed_at).where(self._is(project, chat))
        row = connection.execute(query.with_for_update() if locked else query).first()
        if row is None:
            return None
        context = row.context if isinstance(row.context, dict) else {}
        owner = context.get("owner") or self._first_writer(connection, project, chat)
        return RayChat(row.id, owner, context, row.accessed_at)

    def _first_writer(self, connection: sa.Connection, project: str, chat: str) -> str | None:
        table = self._messages
        query = sa.select(table.c.user_id).where(self._in(project, chat)).order_by(table.c.created_at, table.c.id)
        return connection.scalar(query.limit(1))

    def add_chat(self, connection: sa.Connection, user: str, project: str, chat: str, now: datetime) -> RayChat:
        """Makes the chat. Raises RepeatedKeyError where another request makes it."""
        context = {"owner": user} if self._paired else {"owner": user, "chat_id": chat}
        values = {"project_id": project, "user_id": user, "context": context, "chat_type": "general", "is_active": True}
        times = {"created_at": now, "updated_at": now, "accessed_at": now}
        identity = {"chat_id": chat} if self._paired else {"id": digest(project, chat)}
        connection.execute(self._chats.insert().values(**fitting(self._chats, {**values, **times, **identity})))
        return RayChat(identity.get("id"), user, context, now)

    def touch(
        self, connection: sa.Connection, project: str, chat: str, found: RayChat, user: str, now: datetime
    ) -> None:
        """Moves the chat's clock, and writes down whose it is."""
        values: dict[str, Any] = {"accessed_at": now, "updated_at": now}
        if "owner" not in found.context:
            values["context"] = {**found.context, "owner": user}
        change = self._chats.update().where(self._is(project, chat))
        connection.execute(change.values(**fitting(self._chats, values)))

    def history(self, connection: sa.Connection, project: str, chat: str, limit: int) -> list[tuple[str, str | None]]:
        """The newest messages with their responses, oldest first."""
        table = self._messages
        query = sa.select(table.c.content, table.c.response).where(self._in(project, chat))
        query = query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
        return [(row.content, row.response) for row in connection.execute(query)][::-1]

    def add_message(self, connection: sa.Connection, project: str, chat: str, values: dict[str, Any]) -> None:
        """Adds a message with its response."""
        table = self._messages
        row = {"project_id": project, "chat_id": chat if self._paired else digest(project, chat), **values}
        if not isinstance(table.c.id.type, sa.Integer):
            row["id"] = new_id()
        connection.execute(table.insert().values(**fitting(table, row)))

    def _is(self, project: str, chat: str) -> sa.ColumnElement[bool]:
        if not self._paired:
            # What nobody has written as a user is a stored conversation of an account, whatever it is called.
            stored = [self._chats.c.user_id.is_not(None)] if "user_id" in self._chats.c else []
            return sa.and_(self._chats.c.id == digest(project, chat), *stored)
        return sa.and_(self._chats.c.project_id == project, self._chats.c.chat_id == chat)

    def _in(self, project: str, chat: str) -> sa.ColumnElement[bool]:
        if not self._paired:
            return self._messages.c.chat_id == digest(project, chat)
        return sa.and_(self._messages.c.project_id == project, self._messages.c.chat_id == chat)


#: Keys that no other system may give to a row of its own: anybody who knows a pair can compute them.
RESERVED = re.compile(r"ray-[0-9a-f]{40}", re.IGNORECASE)


def digest(project: str, chat: str) -> str:
    """The key of a pair's row where a layout's chats have a single one."""
    return f"ray-{hashlib.sha256(json.dumps([project, chat]).encode()).hexdigest()[:40]}"
