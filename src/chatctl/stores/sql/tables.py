"""SQLAlchemy Core tables of a layout: column *keys* are chatctl's words, *names* are the application's.

A service says `tables["messages"].c.user_id`; what reaches the server is `messages."userId"`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import sqlalchemy as sa

from chatctl.errors import MissingEntityError
from chatctl.layouts.model import Column, Entity, Layout, Phase
from chatctl.stores.sql.types import sqlalchemy_type


class LayoutTables:
    """The tables of `layout` as they are at `phase`, by entity key.

    With `present`, the columns that a live database has by table name, they are what is there, whatever the phase.
    """

    def __init__(
        self, layout: Layout, phase: Phase = Phase.EXPAND, present: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self.layout = layout
        self.metadata = sa.MetaData()
        self._tables: dict[str, sa.Table] = {}
        for key, entity in layout.entities.items():
            columns = entity.columns_at(phase) if present is None else _columns_in(present, entity)
            if entity.exists_at(phase) if present is None else columns:
                self._tables[key] = _table(self.metadata, entity, columns)

    def __getitem__(self, entity: str) -> sa.Table:
        """The table of `entity`; raises MissingEntityError where this phase has none."""
        if entity not in self._tables:
            self.layout.entity(entity)
            raise MissingEntityError(
                f"The table of '{entity}' isn't there yet in this state of the database.",
                hint="chatctl migrate brings it.",
            )
        return self._tables[entity]

    def __contains__(self, entity: str) -> bool:
        return entity in self._tables

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def column(self, entity: str, key: str) -> sa.Column[object]:
        """The column `key` of `entity`; raises MissingEntityError naming it."""
        table = self[entity]
        if key not in table.c:
            raise MissingEntityError(f"'{entity}' has no column '{key}' in layout '{self.layout.name}'.")
        return table.c[key]


def _columns_in(present: Mapping[str, Collection[str]], entity: Entity) -> dict[str, Column]:
    names = present.get(entity.table, ())
    return {key: column for key, column in entity.columns.items() if column.name in names}


def _table(metadata: sa.MetaData, entity: Entity, columns: Mapping[str, Column]) -> sa.Table:
    return sa.Table(
        entity.table,
        metadata,
        *(_column(key, column) for key, column in columns.items()),
        schema=entity.schema_,
    )


def _column(key: str, column: Column) -> sa.Column[object]:
    return sa.Column(
        column.name,
        sqlalchemy_type(column.type),
        key=key,
        primary_key=column.primary,
        nullable=column.nullable,
        autoincrement=column.auto,
        quote=True,
    )
