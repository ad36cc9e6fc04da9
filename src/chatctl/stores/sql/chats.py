"""Chats and their messages as a layout keeps them in SQL, to be looked at. Only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.errors import CannotConnectError, MissingEntityError
from chatctl.layouts.model import Layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.tables import LayoutTables

_CHATS, _MESSAGES, _PROJECTS = "chats", "messages", "projects"
_NEWEST_BY = ("created_at", "updated_at", "accessed_at")
#: The most messages that one chat is shown with.
MOST_MESSAGES = 10_000


@dataclass(frozen=True)
class SqlChat:
    """One chat: the key of its row as text, its columns by chatctl's words, and how many messages it has."""

    key: str
    fields: Mapping[str, Any]
    message_count: int
    project_name: str | None = None

    @property
    def id(self) -> str:
        """What people call it: its `chat_id`, else its row's key."""
        return str(self.fields.get("chat_id") or self.key)


class SqlChats:
    """The chats in `database`; `declared_by` says whether `layout` has any."""

    def __init__(self, database: Database, layout: Layout) -> None:
        if not self.declared_by(layout):
            raise MissingEntityError(f"The layout '{layout.name}' keeps no chats.")
        self._database = database
        self._layout = layout

    @staticmethod
    def declared_by(layout: Layout) -> bool:
        """Whether `layout` has chats in SQL, with messages that find them."""
        return {_CHATS, _MESSAGES} <= layout.entities.keys() and bool(layout.join(_MESSAGES, _CHATS))

    def newest(self, user: str | None, project: str | None, limit: int) -> tuple[list[SqlChat], int]:
        """The newest `limit` chats, of a user, a project or both where they are given, and how many there are in all.

        Raises MissingEntityError where the tables aren't there or the chats don't tell what is asked for.
        """
        with self._connect() as connection:
            tables = self._tables(connection)
            chats = tables[_CHATS]
            where = sa.and_(sa.true(), *_conditions(tables, {"user_id": user, "project_id": project}))
            total = connection.scalar(sa.select(sa.func.count()).select_from(chats).where(where)) or 0
            order = [chats.c[key].desc() for key in _NEWEST_BY if key in chats.c][:1]
            query = sa.select(chats).where(where).order_by(*order, *chats.primary_key).limit(limit)
            return self._read(connection, tables, query), total

    def named(self, name: str) -> list[SqlChat]:
        """The chats that are called so, by their `chat_id` or by their row's key."""
        with self._connect() as connection:
            tables = self._tables(connection)
            chats = tables[_CHATS]
            found: list[SqlChat] = []
            columns = [chats.c[key] for key in ("chat_id", "id") if key in chats.c]
            for column in columns:
                if not found and (not isinstance(column.type, sa.Integer) or name.isdecimal()):
                    value = int(name) if isinstance(column.type, sa.Integer) else name
                    found = self._read(connection, tables, sa.select(chats).where(column == value).limit(20))
            return found

    def messages(self, chat: SqlChat) -> list[dict[str, Any]]:
        """The chat's messages by chatctl's words, oldest first, at most `MOST_MESSAGES`."""
        with self._connect() as connection:
            tables = self._tables(connection)
            messages = tables[_MESSAGES]
            where = [messages.c[own] == chat.fields[its] for own, its in self._join.items()]
            order = [messages.c[key] for key in ("created_at", "position") if key in messages.c]
            query = sa.select(messages).where(*where).order_by(*order, *messages.primary_key).limit(MOST_MESSAGES)
            return [_by_key(messages, row) for row in connection.execute(query)]

    @property
    def _join(self) -> Mapping[str, str]:
        return self._layout.join(_MESSAGES, _CHATS) or {}

    def _connect(self) -> Any:
        if not self._database.exists:
            raise CannotConnectError(
                f"{self._database.where}: there is no such file.", hint="chatctl migrate makes it."
            )
        return self._database.connect()

    def _tables(self, connection: sa.Connection) -> LayoutTables:
        inspector, present = sa.inspect(connection), {}
        for entity in (_CHATS, _MESSAGES, _PROJECTS):
            if entity in self._layout.entities:
                declared = self._layout.entities[entity]
                if inspector.has_table(declared.table, declared.schema_):
                    columns = inspector.get_columns(declared.table, declared.schema_)
                    present[declared.table] = {column["name"] for column in columns}
        return LayoutTables(self._layout, present=present)

    def _read(self, connection: sa.Connection, tables: LayoutTables, query: sa.Select[Any]) -> list[SqlChat]:
        chats = tables[_CHATS]
        found = [_by_key(chats, row) for row in connection.execute(query)]
        counts = self._counts(connection, tables, found)
        names = _project_names(connection, tables, [fields.get("project_id") for fields in found])
        return [
            SqlChat(
                "/".join(str(fields[column.key]) for column in chats.primary_key),
                fields,
                counts.get(tuple(fields[its] for its in self._join.values()), 0),
                names.get(fields.get("project_id")),
            )
            for fields in found
        ]

    def _counts(
        self, connection: sa.Connection, tables: LayoutTables, found: Sequence[Mapping[str, Any]]
    ) -> dict[tuple[Any, ...], int]:
        if not found:
            return {}
        own = [tables.column(_MESSAGES, key) for key in self._join]
        each = [
            column.in_({fields[its] for fields in found}) for column, its in zip(own, self._join.values(), strict=True)
        ]
        query = sa.select(*own, sa.func.count()).where(*each).group_by(*own)
        rows = [tuple(row) for row in connection.execute(query)]
        return {row[:-1]: row[-1] for row in rows}


def _conditions(tables: LayoutTables, wanted: Mapping[str, str | None]) -> list[sa.ColumnElement[bool]]:
    return [tables.column(_CHATS, key) == value for key, value in wanted.items() if value is not None]


def _by_key(table: sa.Table, row: sa.Row[Any]) -> dict[str, Any]:
    return {column.key: value for column, value in zip(table.c, row, strict=True)}


def _project_names(connection: sa.Connection, tables: LayoutTables, ids: Sequence[Any]) -> dict[Any, str]:
    wanted = {value for value in ids if value is not None}
    if not wanted or _PROJECTS not in tables or "name" not in tables[_PROJECTS].c:
        return {}
    projects = tables[_PROJECTS]
    key = projects.c["project_id" if "project_id" in projects.c else "id"]
    return {row[0]: row[1] for row in connection.execute(sa.select(key, projects.c.name).where(key.in_(wanted)))}
