"""The switches that a rollback has set, for whoever serves the application: `chatctl serve` asks here.

They stand in `chatctl_meta`, one row for each layout, until the layout's schema is migrated up again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import sqlalchemy as sa

from chatctl.stores.sql.journal.journal import Journal

_PREFIX = "rollback_flags."
_LONGEST_NAME = 64


class RollbackFlags:
    """The flags of `layout`, on a connection of the caller's."""

    def __init__(self, journal: Journal, layout: str) -> None:
        self._journal = journal
        self._table = journal.tables.meta
        self._name = f"{_PREFIX}{layout}"[:_LONGEST_NAME]

    def read(self, connection: sa.Connection) -> dict[str, bool]:
        """What a rollback has set; empty where none has, or where there is no journal."""
        if not self._journal.exists(connection):
            return {}
        text = connection.scalar(sa.select(self._table.c.value).where(self._table.c.name == self._name))
        return {str(name): bool(value) for name, value in json.loads(text).items()} if text else {}

    def set(self, connection: sa.Connection, flags: Mapping[str, bool]) -> None:
        """Takes the place of what was set before; no flags take it away."""
        connection.execute(self._table.delete().where(self._table.c.name == self._name))
        if flags:
            text = json.dumps(dict(flags), sort_keys=True)
            connection.execute(self._table.insert().values(name=self._name, value=text))
