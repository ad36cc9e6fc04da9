"""The mark of an unfinished restore, in the database that is being restored: a killed one is never taken for whole.

A restore of Redis alone leaves its mark in the database too.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from chatctl.errors import UnfinishedRunError
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dumps.base import MARKER_TABLE
from chatctl.stores.sql.types import long_text

_TABLE = sa.Table(
    MARKER_TABLE,
    sa.MetaData(),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", long_text(), nullable=False),
)


def unfinished_restore(connection: sa.Connection) -> dict[str, Any] | None:
    """What an unfinished restore into the database behind `connection` knew when it began; None where there is none."""
    # In the list of tables: asked for one that an account has no right to, MariaDB refuses, be it there or not.
    if MARKER_TABLE not in sa.inspect(connection).get_table_names():
        return None
    text = connection.scalar(sa.select(_TABLE.c.state))
    return json.loads(text) if text else None


def require_no_restore(connection: sa.Connection) -> None:
    """Raises UnfinishedRunError where the database is half restored: nobody may work on with what is there."""
    state = unfinished_restore(connection)
    if state is not None:
        raise UnfinishedRunError(
            f"A restore of backup {state['backup']} is unfinished: what is there is half restored.",
            hint=f"Repeat its command: chatctl backup restore {state['backup']}, or chatctl rollback run.",
        )


class RestoreMarker:
    """What a restore into `database` knew when it began."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> dict[str, Any] | None:
        """The unfinished restore's state, None where there is none."""
        if not self._database.exists:
            return None
        with self._database.connect() as connection:
            return unfinished_restore(connection)

    def write(self, state: dict[str, Any]) -> None:
        """Marks the database, or says more of the mark that is there."""
        with self._database.begin() as connection:
            _TABLE.create(connection, checkfirst=True)
            connection.execute(_TABLE.delete())
            connection.execute(_TABLE.insert().values(slot=1, state=json.dumps(state, sort_keys=True)))

    def remove(self) -> None:
        """The restore is finished."""
        with self._database.begin() as connection:
            _TABLE.drop(connection, checkfirst=True)
