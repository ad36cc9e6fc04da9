"""What rows go into or come out of: a table of the layout as a live database has it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn

from chatctl.errors import CannotConnectError, MissingEntityError
from chatctl.layouts.model import Entity, Layout, Phase
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.tables import LayoutTables


@dataclass(frozen=True)
class TransferTable:
    """An entity, and its table with those columns that the database has.

    The `omittable` ones are those that an INSERT needn't name to leave empty, or to have the server number them.
    """

    key: str
    entity: Entity
    table: sa.Table
    omittable: frozenset[str]

    @property
    def columns(self) -> list[str]:
        """The keys of the columns, in the layout's order."""
        return list(self.table.c.keys())


@dataclass(frozen=True)
class TransferTarget:
    """A database, the layout that it is read by, and its journal."""

    database: Database
    layout: Layout
    journal: Journal

    def table(self, key: str) -> TransferTable:
        """The table of the entity `key`, whatever phase the database is in.

        Raises MissingEntityError where the layout has no such entity, or the database no such table or lacks a
        column that belongs to every row; CannotConnectError where there is no database.
        """
        entity = self.layout.entity(key)
        if not self.database.exists:
            raise CannotConnectError(f"{self.database.where}: there is no such file.", hint="Check the path.")
        with self.database.connect() as connection:
            inspector = sa.inspect(connection)
            if not inspector.has_table(entity.table, entity.schema_):
                raise MissingEntityError(
                    f"{self.database.where} has no table '{entity.table}' for '{key}'.",
                    hint="chatctl migrate status says where the database stands.",
                )
            live = {column["name"]: column for column in inspector.get_columns(entity.table, entity.schema_)}
        _require_columns(entity, live)
        table = LayoutTables(self.layout, present={entity.table: live})[key]
        omittable = [
            column.key for column in table.c if column.autoincrement is True or _is_empty_by_default(live[column.name])
        ]
        return TransferTable(key, entity, table, frozenset(omittable))


def _is_empty_by_default(column: ReflectedColumn) -> bool:
    # MariaDB spells "none" out.
    return column["nullable"] and column.get("default") in (None, "NULL") and "computed" not in column


def _require_columns(entity: Entity, present: Collection[str]) -> None:
    """Raises MissingEntityError unless the table has all that it must have in one of the phases."""
    missing = [
        [column.name for column in entity.columns_at(phase).values() if not column.optional]
        for phase in Phase
        if entity.exists_at(phase)
    ]
    lacking = min(([name for name in names if name not in present] for names in missing), key=len)
    if lacking:
        raise MissingEntityError(
            f"The table '{entity.table}' has no column {', '.join(repr(name) for name in lacking)}.",
            hint="Is it the right layout? chatctl migrate status lists what differs.",
        )
