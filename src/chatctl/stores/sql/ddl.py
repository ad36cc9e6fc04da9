"""The words that revisions are written in, where Alembic's own would lock too much or differ by engine.

They work inside a revision's `upgrade` and `downgrade`, and send every statement through Alembic, so that it can be
shown, recorded and scripted. How an engine does it is in `chatctl.stores.sql.dialects.ddl`.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.operations import Operations
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from chatctl.stores.sql.dialects.base import KEPT_COLUMNS
from chatctl.stores.sql.dialects.clock import UtcNow
from chatctl.stores.sql.dialects.columns import Kept, Source, removal_for
from chatctl.stores.sql.dialects.ddl import Reference, SchemaChanges, changes_for
from chatctl.stores.sql.types import long_text

__all__ = [
    "TEXT_OPTIONS", "Reference", "Source", "UtcNow", "add_reference", "bring_back_columns", "create_index_gently",
    "drop_index_gently", "drop_reference", "own_key", "remove_columns", "type_of",
]  # fmt: skip

#: What MySQL and MariaDB need to be told about a table, for text to hold and compare there as on other engines.
TEXT_OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

#: The definitions of columns that a contract took away, in the engine's own words, by table.
_KEPT = sa.table(KEPT_COLUMNS, sa.column("table_name", sa.String(64)), sa.column("kept", long_text()))


def create_index_gently(name: str, table: str, columns: list[str]) -> None:
    """Builds an index on a table that is in use, without blocking its writers where the engine can."""
    _changes().create_index(name, table, columns)


def drop_index_gently(name: str, table: str) -> None:
    """Drops an index of a table that is in use."""
    _changes().drop_index(name, table)


def add_reference(reference: Reference, type_: TypeEngine[Any], *, index: str, indexed: list[str]) -> None:
    """Adds a nullable column of type `type_` with a foreign key, and the index `index` over `indexed`.

    The column comes with nulls only, so nothing is copied and nothing needs checking.
    """
    column: sa.Column[object] = sa.Column(reference.column, type_, nullable=True)
    _changes().add_reference(reference, column, index, indexed)


def drop_reference(reference: Reference, *, index: str) -> None:
    """Takes back what `add_reference` added."""
    _changes().drop_reference(reference, index)


def own_key(length: int) -> TypeEngine[str]:
    """The type of IDs that chatctl makes, in a new column of any table: collated alike wherever it stands."""
    collated = mysql.VARCHAR(length, charset=TEXT_OPTIONS["mysql_charset"], collation=TEXT_OPTIONS["mysql_collate"])
    return sa.String(length).with_variant(collated, "mysql", "mariadb")


def type_of(table: str, column: str, declared: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that an existing column really has, collation and all; `declared` where that can't be asked.

    A foreign key needs both sides alike, and an application's own column may be wider, a UUID, or collated
    otherwise than a layout says.
    """
    if op.get_context().as_sql:
        return declared
    return _changes().column_type(table, column) or declared


def remove_columns(table: str, declared: list[sa.Column[Any]]) -> None:
    """Drops columns, and keeps what they, their keys and their indexes were for `bring_back_columns`."""
    removal = removal_for(_operations(), table, declared)
    # Run again after a kill, when some columns are gone already, it must send the same statements as before.
    kept = _kept(table) or (removal.declared_statements() if op.get_context().as_sql else removal.keep())
    op.create_table(
        _KEPT.name,
        sa.Column("table_name", sa.String(64), primary_key=True),
        sa.Column("kept", long_text(), nullable=False),
        if_not_exists=True,
        **TEXT_OPTIONS,
    )
    op.execute(sa.delete(_KEPT).where(_KEPT.c.table_name == table))
    op.execute(sa.insert(_KEPT).values(table_name=table, kept=json.dumps(kept)))
    removal.remove(kept)


def bring_back_columns(table: str, declared: list[sa.Column[Any]], source: Source) -> None:
    """Brings columns back as they were kept, else as `declared`, with the values of the parent rows.

    The rows are written in one statement. One without a parent has no value, which a NOT NULL column refuses.
    """
    kept = _kept(table)
    removal_for(_operations(), table, declared).restore(kept, source)
    if kept is not None:
        op.execute(sa.delete(_KEPT).where(_KEPT.c.table_name == table))


def _kept(table: str) -> Kept | None:
    """What was kept of the columns that left `table`, or None where nothing was or nothing can be asked."""
    if op.get_context().as_sql or not sa.inspect(op.get_bind()).has_table(_KEPT.name):
        return None
    text = op.get_bind().scalar(sa.select(_KEPT.c.kept).where(_KEPT.c.table_name == table))
    kept: Kept | None = json.loads(text) if text else None
    return kept


def _changes() -> SchemaChanges:
    return changes_for(_operations())


def _operations() -> Operations:
    return Operations(op.get_context())
