"""The mark of an unfinished restore, in the database that is being restored: a killed one is never taken for whole."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dumps.base import MARKER_TABLE
from chatctl.stores.sql.types import long_text


class RestoreMarker:
    """What a restore into `database` knew when it began."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = sa.Table(
            MARKER_TABLE,
            sa.MetaData(),
            sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("state", long_text(), nullable=False),
        )

    def read(self) -> dict[str, Any] | None:
        """The unfinished restore's state, None where there is none."""
        if not self._database.exists:
            return None
        with self._database.connect() as connection:
            if not sa.inspect(connection).has_table(MARKER_TABLE):
                return None
            text = connection.scalar(sa.select(self._table.c.state))
            return json.loads(text) if text else None

    def write(self, state: dict[str, Any]) -> None:
        """Marks the database, or says more of the mark that is there."""
        with self._database.begin() as connection:
            self._table.create(connection, checkfirst=True)
            connection.execute(self._table.delete())
            connection.execute(self._table.insert().values(slot=1, state=json.dumps(state, sort_keys=True)))

    def remove(self) -> None:
        """The restore is finished."""
        with self._database.begin() as connection:
            self._table.drop(connection, checkfirst=True)
