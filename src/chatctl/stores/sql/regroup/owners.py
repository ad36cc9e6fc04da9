"""The rows of users and mentors that regroupings made, kept in mind until the chats that refer to them are gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from chatctl.stores.sql.ddl import TEXT_OPTIONS
from chatctl.stores.sql.inspection import columns_present, take_snapshot
from chatctl.stores.sql.regroup.phase import changed
from chatctl.stores.sql.regroup.scheme import FIRST, LAST, Scheme
from chatctl.stores.sql.regroup.worktables import WorkTables
from chatctl.stores.sql.tables import LayoutTables


class MadeOwners:
    """What the runs have made that one rollback (`run_id`) undoes; in `schema` or in the connection's own."""

    def __init__(self, run_id: str, schema: str | None) -> None:
        self._table = sa.Table(
            f"chatctl_rollback_{run_id.replace('-', '_')}",
            sa.MetaData(),
            sa.Column("entity", sa.String(64), primary_key=True),
            sa.Column("value", sa.String(255), primary_key=True),
            schema=schema,
            **TEXT_OPTIONS,
        )

    def remember(self, connection: sa.Connection, work: WorkTables) -> None:
        """Keeps in mind what the run of `work` has made, before its records go. Safe to repeat."""
        self._table.create(connection, checkfirst=True)
        made, known = work.companions.c, self._table.c
        there = sa.exists().where(known.entity == made.entity, known.value == made.value)
        chosen = sa.select(made.entity, made.value).where(~there)
        connection.execute(self._table.insert().from_select(["entity", "value"], chosen))

    def take_away(self, connection: sa.Connection, scheme: Scheme) -> int:
        """Deletes those of them that are as they were made and that nothing refers to; how many. Forgets them all."""
        if not sa.inspect(connection).has_table(self._table.name, schema=self._table.schema):
            return 0
        snapshot = take_snapshot(connection)
        tables = LayoutTables(scheme.layout, present=columns_present(snapshot))
        rows = 0
        for entity, column in dict.fromkeys((found.entity, found.column) for found in scheme.companions):
            if entity in tables:
                untouched = [*_as_made(tables[entity], column), *_unreferenced(snapshot, tables[entity])]
                as_text = scheme.dialect.as_text(tables[entity].c[column])
                values = sa.select(self._table.c.value).where(self._table.c.entity == entity)
                rows += changed(connection, tables[entity].delete().where(as_text.in_(values), *untouched))
        self._table.drop(connection)
        return rows


def _as_made(table: sa.Table, key: str) -> Iterator[sa.ColumnElement[bool]]:
    """A run fills in the key and times alone."""
    for name, column in table.c.items():
        if name not in (key, *FIRST, *LAST) and column.nullable:
            yield column.is_(None)


def _unreferenced(snapshot: Mapping[str, str], table: sa.Table) -> Iterator[sa.ColumnElement[bool]]:
    """No row of a table with a foreign key to this one names it, whether the layout knows that table or not."""
    for path, text in snapshot.items():
        child, is_key, columns = path.partition(" foreign key ")
        parent, _, rest = text.partition(" ")
        names, targets = columns.strip("()").split(", "), rest.partition(" ON DELETE")[0].strip("()").split(", ")
        if is_key and parent == table.name and len(names) == 1:
            own = next((column for column in table.c if column.name == targets[0]), None)
            if own is not None:
                theirs = sa.table(child, sa.column(names[0])).alias()
                yield ~sa.exists().where(theirs.c[names[0]] == own)
