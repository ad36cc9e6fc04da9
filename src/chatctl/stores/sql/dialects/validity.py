"""Indexes and constraints that are there but don't hold yet: left by a build that was ended, or not validated."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True)
class Unproven:
    """(table, name) of each invalid index, and of each constraint that is not validated."""

    indexes: frozenset[tuple[str, str]] = frozenset()
    constraints: frozenset[tuple[str, str]] = frozenset()


def unproven(connection: sa.Connection, schema: str | None) -> Unproven:
    """What in `schema` (the connection's own if None) is there without holding; nothing where an engine has no such."""
    if connection.dialect.name != "postgresql":
        return Unproven()
    parameters = {"schema": schema}
    indexes = sa.text(
        "SELECT t.relname, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
        " WHERE NOT i.indisvalid AND n.nspname = COALESCE(CAST(:schema AS text), current_schema())"
    )
    constraints = sa.text(
        "SELECT t.relname, c.conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
        " JOIN pg_namespace n ON n.oid = t.relnamespace"
        " WHERE NOT c.convalidated AND n.nspname = COALESCE(CAST(:schema AS text), current_schema())"
    )
    return Unproven(
        frozenset((table, name) for table, name in connection.execute(indexes, parameters)),
        frozenset((table, name) for table, name in connection.execute(constraints, parameters)),
    )
