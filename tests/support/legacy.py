"""Legacy databases with rows in them, for every layout."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from tests.support.migrated import Migrated

from chatctl.layouts import Column, Kind, Layout, Phase, load_layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.tables import LayoutTables

_VALUES: dict[Kind, Any] = {
    Kind.INTEGER: 7,
    Kind.BIGINT: 7,
    Kind.BOOLEAN: True,
    Kind.FLOAT: 0.5,
    Kind.DECIMAL: 1,
    Kind.JSON: {"a": [1, "ü"]},
    Kind.DATETIME: datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC),
    Kind.EPOCH: datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC),
}


def make_legacy(url: str, layout_name: str) -> None:
    """Makes the layout's legacy tables in the empty database of `url`, with three rows in each, adopted by nobody."""
    database = Database(url)
    try:
        _make(Migrated(load_layout(layout_name), database))
    finally:
        database.close()


def put_every_message_into_a_chat(url: str) -> None:
    """On an expanded `mentor` database: what its contract wants before it drops the old columns."""
    database = Database(url)
    with database.begin() as connection:
        # MySQL's own quotes, where it takes no others.
        quote = "`" if connection.dialect.name == "mysql" else '"'
        for statement in (
            'INSERT INTO chats (id, "userId", "mentorId", "updatedAt")'
            ' SELECT id, "userId", "mentorId", "createdAt" FROM messages',
            'UPDATE messages SET "chatId" = id',
        ):
            connection.execute(sa.text(statement.replace('"', quote)))
    database.close()


def _make(migrated: Migrated) -> None:
    layout = migrated.layout
    migrated.up_to(Phase.LEGACY)
    tables = LayoutTables(layout, Phase.LEGACY)
    with migrated.database.begin() as connection:
        for key in tables:
            rows = [row_of(layout, key, number, referring_to=number) for number in range(3)]
            connection.execute(tables[key].insert(), rows)
        connection.exec_driver_sql("DROP TABLE chatctl_version")


def row_of(layout: Layout, key: str, number: int, *, referring_to: int) -> dict[str, Any]:
    """A row of the legacy table `key`, with the primary key of that number, referring to the rows of another."""
    columns = layout.entities[key].columns_at(Phase.LEGACY)
    return {name: _value(column, referring_to if column.references else number) for name, column in columns.items()}


def _value(column: Column, number: int) -> Any:
    if column.nullable and not column.references and number == 2:
        return None
    if column.primary or column.references:
        return number + 1 if column.type.kind in (Kind.INTEGER, Kind.BIGINT) else _uuid(number)
    if column.choices:
        return column.choices[0]
    return _VALUES.get(column.type.kind, _uuid(number)[-(column.type.length or 36) :])


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"
