"""The migrations' own records, one JSON text each, in the journal's table of names and values."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from chatctl.errors import LockedError
from chatctl.stores.sql.journal.tables import JournalTables

_PREFIX = "record:"


class Records:
    """Reads and writes records on a connection of the caller's; their IDs sort by time."""

    def __init__(self, tables: JournalTables) -> None:
        self._meta = tables.meta

    def ids(self, connection: sa.Connection) -> list[str]:
        """Every record, newest first."""
        name = self._meta.c.name
        found = connection.scalars(sa.select(name).where(name.startswith(_PREFIX, autoescape=True)))
        return sorted((text.removeprefix(_PREFIX) for text in found), reverse=True)

    def get(self, connection: sa.Connection, record_id: str) -> dict[str, Any] | None:
        """The record, if there is one of that ID."""
        query = sa.select(self._meta.c.value).where(self._meta.c.name == _PREFIX + record_id)
        text = connection.scalar(query)
        return json.loads(text) if text is not None else None

    def add(self, connection: sa.Connection, record_id: str, content: dict[str, Any]) -> None:
        """Writes a new record."""
        connection.execute(self._meta.insert().values(name=_PREFIX + record_id, value=_text(content)))

    def replace(
        self, connection: sa.Connection, record_id: str, before: dict[str, Any], content: dict[str, Any]
    ) -> None:
        """Writes `content` in the place of `before`; raises LockedError where somebody else has changed it since."""
        table = self._meta
        done = connection.execute(
            table.update()
            .where(table.c.name == _PREFIX + record_id, table.c.value == _text(before))
            .values(value=_text(content))
        )
        if done.rowcount != 1:
            raise LockedError("Somebody else changed the record just now.", hint="Run the same command again.")


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False)
