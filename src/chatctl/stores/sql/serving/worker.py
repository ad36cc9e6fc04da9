"""Stored conversations: rows of `chats` and `messages`, owned by accounts.

Each method works in the caller's transaction. In a layout of several systems a stored conversation has an account and
no user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.serving.ray import RESERVED
from chatctl.stores.sql.serving.rows import fitting, keyed, new_id, plain
from chatctl.stores.sql.tables import LayoutTables

_CHAT = ("id", "account_id", "created_at", "accessed_at", "metadata")
_MESSAGE = ("id", "role", "content", "created_at")
_TICK = timedelta(milliseconds=1)


class WorkerRows:
    """The rows."""

    def __init__(self, tables: LayoutTables) -> None:
        self._chats = tables["chats"]
        self._messages = tables["messages"]
        tables.column("chats", "account_id")
        tables.column("chats", "accessed_at")
        self._content_is_json = isinstance(self._messages.c.content.type, sa.JSON)

    def _stored(self, account: str | None) -> list[sa.ColumnElement[bool]]:
        conditions = [] if account is None else [self._chats.c.account_id == account]
        if "user_id" in self._chats.c:
            conditions.append(self._chats.c.user_id.is_(None))
        return conditions

    def owner(self, connection: sa.Connection, session: str) -> str | None:
        """Which account's conversation it is: None where there is none of that ID, "" where it is no stored one."""
        table = self._chats
        if "project_id" in table.c and RESERVED.fullmatch(session):
            return ""
        found = connection.execute(sa.select(table).where(table.c.id == session)).first()
        if found is None:
            return None
        foreign = "user_id" in table.c and found.user_id is not None
        return "" if foreign else str(found.account_id)

    def history(self, connection: sa.Connection, session: str, limit: int) -> list[dict[str, str]]:
        """The newest messages, oldest first."""
        return [
            {"role": item["role"], "content": item["content"]} for item in self._messages_of(connection, session, limit)
        ]

    def add_exchange(
        self, connection: sa.Connection, account: str, session: str, now: datetime, exchange: tuple[str, str]
    ) -> bool:
        """Stores a question and its answer, and the conversation where it is new; False where it is another's."""
        owner = self.owner(connection, session)
        if owner not in (None, account):
            return False
        if owner is None:
            row = {"id": session, "account_id": account, "created_at": now, "accessed_at": now, "updated_at": now}
            connection.execute(self._chats.insert().values(**fitting(self._chats, row)))
        else:
            clocks = fitting(self._chats, {"accessed_at": now, "updated_at": now})
            connection.execute(self._chats.update().where(self._chats.c.id == session).values(**clocks))
        for role, content, moment in (("user", exchange[0], now), ("assistant", exchange[1], now + _TICK)):
            message = {"chat_id": session, "created_at": moment, "role": role, "content": content}
            own_id = {} if isinstance(self._messages.c.id.type, sa.Integer) else {"id": new_id()}
            connection.execute(self._messages.insert().values(**message, **own_id))
        return True

    def page(self, connection: sa.Connection, account: str, limit: int, offset: int) -> list[dict[str, Any]]:
        """A page of an account's conversations, newest access first."""
        table = self._chats
        query = sa.select(*keyed(table, _CHAT))
        query = query.where(*self._stored(account)).order_by(table.c.accessed_at.desc(), table.c.id.desc())
        return [plain(row) for row in connection.execute(query.limit(limit).offset(offset))]

    def get(self, connection: sa.Connection, account: str | None, session: str) -> dict[str, Any] | None:
        """A conversation with its messages: any where `account` is None, else one of the account's."""
        table = self._chats
        query = sa.select(*keyed(table, _CHAT))
        found = connection.execute(query.where(table.c.id == session, *self._stored(account))).first()
        if found is None:
            return None
        return {**plain(found), "messages": self._messages_of(connection, session, None)}

    def delete(self, connection: sa.Connection, account: str | None, session: str) -> bool:
        """Deletes a conversation with its messages; False where there is none."""
        mine = sa.and_(self._chats.c.id == session, *self._stored(account))
        if connection.scalar(sa.select(sa.literal(1)).where(mine)) is None:
            return False
        connection.execute(self._messages.delete().where(self._messages.c.chat_id == session))
        return connection.execute(self._chats.delete().where(mine)).rowcount > 0

    def refresh(self, connection: sa.Connection, accessed: Mapping[str, datetime]) -> None:
        """Moves last access forward, never back, for many conversations at once."""
        table = self._chats
        moved = table.update().where(table.c.id == sa.bindparam("chat"), table.c.accessed_at < sa.bindparam("moment"))
        rows = [{"chat": chat, "moment": moment} for chat, moment in sorted(accessed.items())]
        connection.execute(moved.values(accessed_at=sa.bindparam("moment")), rows)

    def stats(self, connection: sa.Connection, account: str | None, ready: sa.ColumnElement[bool]) -> dict[str, Any]:
        """How many conversations there are, the oldest one's creation, and how many are `ready` to be purged."""
        table = self._chats
        count = sa.func.coalesce(sa.func.sum(sa.case((ready, 1), else_=0)), 0).label("ready")
        oldest = sa.func.min(table.c.created_at, type_=table.c.created_at.type).label("oldest")
        query = sa.select(sa.func.count().label("total"), oldest, count).where(*self._stored(account))
        return plain(connection.execute(query).one())

    @property
    def accessed_at(self) -> sa.Column[Any]:
        """The clock of retention."""
        return self._chats.c.accessed_at

    def _messages_of(self, connection: sa.Connection, session: str, limit: int | None) -> list[dict[str, Any]]:
        table = self._messages
        newest_first = (table.c.created_at.desc(), table.c.id.desc())
        query = sa.select(*keyed(table, _MESSAGE))
        query = query.where(table.c.chat_id == session).order_by(*newest_first)
        found = [plain(row) for row in connection.execute(query.limit(limit) if limit else query)]
        return [{**item, "content": _text(item["content"])} for item in reversed(found)]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
