"""Chats with mentors: rows of `chats` and `messages` under a layout's names. Every query names the owner.

Each method works in the caller's transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.journal.runs import now_ms
from chatctl.stores.sql.serving.people import People
from chatctl.stores.sql.serving.rows import fitting, keyed, new_id, plain
from chatctl.stores.sql.tables import LayoutTables

_CHAT = ("id", "user_id", "mentor_id", "title", "is_active", "created_at", "updated_at", "metadata")
_MESSAGE = ("id", "chat_id", "role", "content", "prompt", "model", "tokens", "metadata", "created_at", "task_id")
#: Two messages of one exchange keep their order on the coarsest clock that a layout has.
_TICK = timedelta(milliseconds=1)


class MentorRows:
    """The rows; `schema` is where chatctl's own tables are."""

    def __init__(self, tables: LayoutTables, schema: str | None) -> None:
        self._tables = tables
        self._chats = tables["chats"]
        self._messages = tables["messages"]
        self.people = People(tables)
        self._pairs = sa.Table(
            "chatctl_mentor_chats",
            sa.MetaData(schema=schema),
            sa.Column("pair_sha256", sa.String(64), primary_key=True),
            sa.Column("chat_id", sa.String(255)),
            sa.Column("created_ms", sa.BigInteger),
        )

    def _owned(self, user: str) -> sa.ColumnElement[bool]:
        """The user's own chats, in a layout of several systems those without a project."""
        own = self._chats.c.user_id == user
        return sa.and_(own, self._chats.c.project_id.is_(None)) if "project_id" in self._chats.c else own

    # --- chats ----------------------------------------------------------------------------------------------

    def add_chat(self, connection: sa.Connection, user: str, now: datetime, **given: Any) -> dict[str, Any]:
        """Makes a chat."""
        values = {"mentor_id": None, "title": None, "metadata": None, **given}
        times = {"created_at": now, "updated_at": now, "accessed_at": now}
        row = {"id": new_id(), "user_id": user, "is_active": True, **times, **values}
        connection.execute(self._chats.insert().values(**fitting(self._chats, row)))
        return {key: row[key] for key in _CHAT}

    def chat(self, connection: sa.Connection, user: str, chat: str) -> dict[str, Any] | None:
        """One of the user's chats."""
        query = sa.select(*keyed(self._chats, _CHAT)).where(self._chats.c.id == chat, self._owned(user))
        found = connection.execute(query).first()
        return plain(found) if found is not None else None

    def chats(
        self, connection: sa.Connection, user: str, mentor: str | None, active: bool, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        """A page of the user's chats, newest updated first, each with its last message and their number."""
        table = self._chats
        conditions = [self._owned(user), table.c.is_active.is_(active)]
        if mentor is not None:
            conditions.append(table.c.mentor_id == mentor)
        query = sa.select(*keyed(table, _CHAT)).where(*conditions)
        query = query.order_by(table.c.updated_at.desc(), table.c.id.desc()).limit(limit).offset(offset)
        found = [plain(row) for row in connection.execute(query)]
        last = self._last_messages(connection, [chat["id"] for chat in found])
        return [{**chat, **last.get(chat["id"], {"last_message": None, "message_count": 0})} for chat in found]

    def _last_messages(self, connection: sa.Connection, chats: Sequence[str]) -> dict[str, dict[str, Any]]:
        if not chats:
            return {}
        table = self._messages
        newest_first = (table.c.created_at.desc(), table.c.id.desc())
        ranked = (
            sa.select(
                *keyed(table, _MESSAGE),
                sa.func.row_number().over(partition_by=table.c.chat_id, order_by=newest_first).label("place"),
                sa.func.count().over(partition_by=table.c.chat_id).label("message_count"),
            )
            .where(table.c.chat_id.in_(chats))
            .subquery()
        )
        found: dict[str, dict[str, Any]] = {}
        for row in connection.execute(sa.select(ranked).where(ranked.c.place == 1)):
            message = plain(row)
            message.pop("place")
            count = message.pop("message_count")
            found[message["chat_id"]] = {"last_message": message, "message_count": count}
        return found

    def change_chat(self, connection: sa.Connection, user: str, chat: str, now: datetime, **values: Any) -> bool:
        """Changes one of the user's chats; False where there is none."""
        row = fitting(self._chats, {**values, "updated_at": now, "accessed_at": now})
        change = self._chats.update().where(self._chats.c.id == chat, self._owned(user)).values(**row)
        return connection.execute(change).rowcount > 0

    def stats(self, connection: sa.Connection, user: str) -> dict[str, int]:
        """What the user has, active chats only."""
        table, messages = self._chats, self._messages
        active = sa.and_(self._owned(user), table.c.is_active.is_(True))
        mentored = sa.func.coalesce(sa.func.sum(sa.case((table.c.mentor_id.is_not(None), 1), else_=0)), 0)
        chats, mentors = connection.execute(sa.select(sa.func.count(), mentored).where(active)).one()
        joined = messages.join(table, messages.c.chat_id == table.c.id)
        count = connection.scalar(sa.select(sa.func.count()).select_from(joined).where(active)) or 0
        return {"chats": chats, "messages": count, "mentor_chats": int(mentors), "standalone": chats - int(mentors)}

    # --- the chat of a user and a mentor --------------------------------------------------------------------

    def mentor_chat(self, connection: sa.Connection, user: str, mentor: str) -> str | None:
        """The chat that the two go on with, if they have one: the named one, else the newest updated."""
        named = connection.scalar(
            sa.select(self._pairs.c.chat_id).where(self._pairs.c.pair_sha256 == _pair(user, mentor))
        )
        table = self._chats
        usable = sa.and_(self._owned(user), table.c.mentor_id == mentor, table.c.is_active.is_(True))
        if named and connection.scalar(sa.select(sa.literal(1)).where(usable, table.c.id == named)):
            return str(named)
        newest = sa.select(table.c.id).where(usable).order_by(table.c.updated_at.desc(), table.c.id.desc()).limit(1)
        return connection.scalar(newest)

    def get_or_add_mentor_chat(self, connection: sa.Connection, user: str, mentor: str, now: datetime) -> str:
        """The same, made where there is none. Raises RepeatedKeyError where another request makes it: try again."""
        key, pairs = _pair(user, mentor), self._pairs
        held = connection.scalar(sa.select(pairs.c.chat_id).where(pairs.c.pair_sha256 == key).with_for_update())
        found = self.mentor_chat(connection, user, mentor)
        if found is not None and found == held:
            return found
        if held is None:
            # First, since its key is what keeps two requests from making two chats.
            connection.execute(pairs.insert().values(pair_sha256=key, chat_id=found or "", created_ms=now_ms()))
        if found is None:
            name = self.people.value(connection, "mentors", mentor, "name")
            title = f"Chat with {name or mentor}"[:255]
            found = str(self.add_chat(connection, user, now, mentor_id=mentor, title=title)["id"])
        connection.execute(pairs.update().where(pairs.c.pair_sha256 == key).values(chat_id=found))
        return found

    # --- messages -------------------------------------------------------------------------------------------

    def messages(
        self, connection: sa.Connection, chat: str, limit: int, offset: int = 0, *, newest: bool = False
    ) -> list[dict[str, Any]]:
        """Messages of a chat in their order: from the first on, or the `newest` ones."""
        table = self._messages
        order = (table.c.created_at.desc(), table.c.id.desc()) if newest else (table.c.created_at, table.c.id)
        query = sa.select(*keyed(table, _MESSAGE)).where(table.c.chat_id == chat).order_by(*order)
        found = [plain(row) for row in connection.execute(query.limit(limit).offset(offset))]
        return found[::-1] if newest else found

    def standalone(self, connection: sa.Connection, user: str, limit: int, offset: int) -> list[dict[str, Any]]:
        """The user's messages outside any chat, newest first; none once messages name no owner."""
        table = self._messages
        if "user_id" not in table.c:
            return []
        query = sa.select(*keyed(table, _MESSAGE)).where(table.c.user_id == user, table.c.chat_id.is_(None))
        query = query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit).offset(offset)
        return [plain(row) for row in connection.execute(query)]

    def add_message(
        self, connection: sa.Connection, user: str, chat: str, now: datetime, message: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Adds a message to one of the user's active chats and moves the chat's clock; None where there is none."""
        touched = connection.execute(
            self._touch,
            {"chat_": chat, "user_": user, "updated_at": now, **({"accessed_at": now} if self._has_access else {})},
        )
        if touched.rowcount == 0:
            return None
        row = {"id": new_id(), "chat_id": chat, "user_id": user, "created_at": now, **message}
        connection.execute(self._insert, {key: row.get(key) for key in self._inserted})
        return {key: row.get(key) for key in _MESSAGE}

    def add_pair(
        self,
        connection: sa.Connection,
        user: str,
        chat: str,
        now: datetime,
        asked: dict[str, Any],
        answered: dict[str, Any],
    ) -> str | None:
        """Adds a question and its answer; the answer's ID, None where the chat isn't the user's any more."""
        if self.add_message(connection, user, chat, now, asked) is None:
            return None
        answer = self.add_message(connection, user, chat, now + _TICK, answered)
        return str(answer["id"]) if answer is not None else None

    @property
    def _has_access(self) -> bool:
        return "accessed_at" in self._chats.c

    @cached_property
    def _inserted(self) -> tuple[str, ...]:
        keys = (*_MESSAGE, "user_id", "mentor_id")
        return tuple(key for key in keys if key in self._messages.c)

    @cached_property
    def _insert(self) -> sa.Insert:
        return self._messages.insert().values({key: sa.bindparam(key) for key in self._inserted})

    @cached_property
    def _touch(self) -> sa.Update:
        table = self._chats
        own = (table.c.id == sa.bindparam("chat_"), self._owned_by_parameter, table.c.is_active.is_(True))
        clocks = [key for key in ("updated_at", "accessed_at") if key in table.c]
        return table.update().where(*own).values({key: sa.bindparam(key) for key in clocks})

    @property
    def _owned_by_parameter(self) -> sa.ColumnElement[bool]:
        own = self._chats.c.user_id == sa.bindparam("user_")
        return sa.and_(own, self._chats.c.project_id.is_(None)) if "project_id" in self._chats.c else own


def _pair(user: str, mentor: str) -> str:
    return hashlib.sha256(json.dumps([user, mentor]).encode()).hexdigest()
