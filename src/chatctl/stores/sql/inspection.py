"""What a database's schema is, as flat text that can be compared, stored and shown.

A snapshot maps a path to a description: `messages.userId` to `VARCHAR(64) NOT NULL`,
`messages index idx_chat` to `(chatId, createdAt)`. Two schemas are the same when their snapshots are equal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.layouts import Layout
from chatctl.stores.sql.dialects.validity import Unproven, unproven

#: chatctl's own tables and what they leave behind; never part of an application's schema.
OWN_PREFIX = "chatctl_"

#: The execution option that turns them off.
_SKIPPED = "skip_user_error_events"

Snapshot = Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """One path on which two snapshots disagree; None where a side doesn't have it."""

    path: str
    expected: str | None
    actual: str | None

    def __str__(self) -> str:
        if self.actual is None:
            return f"{self.path}: missing ({self.expected})"
        if self.expected is None:
            return f"{self.path}: not expected ({self.actual})"
        return f"{self.path}: {self.actual}, expected {self.expected}"


def take_snapshot(
    connection: sa.Connection, tables: Collection[str] | None = None, schema: str | None = None
) -> dict[str, str]:
    """The schema of `tables` (all but chatctl's own if None), those that aren't there left out."""
    with _leaving_error_events(connection):
        return _snapshot_of(connection, tables, schema)


def snapshot_of_layout(connection: sa.Connection, layout: Layout) -> dict[str, str]:
    """The schema of the layout's tables; the paths of one in a schema of its own begin with that schema's name."""
    found: dict[str, str] = {}
    for schema in {entity.schema_ for entity in layout.entities.values()}:
        tables = {entity.table for entity in layout.entities.values() if entity.schema_ == schema}
        if schema is None:
            found |= take_snapshot(connection, tables)
        elif schema in sa.inspect(connection).get_schema_names():
            found |= {f"{schema}/{path}": text for path, text in take_snapshot(connection, tables, schema).items()}
    return found


@contextmanager
def _leaving_error_events(connection: sa.Connection) -> Iterator[None]:
    """SQLAlchemy's inspection of MySQL turns them off for the rest of a connection's life.

    Applications translate errors by them, and their revisions go by the translation.
    """
    before = connection.get_execution_options().get(_SKIPPED, False)
    try:
        yield
    finally:
        if connection.get_execution_options().get(_SKIPPED, False) != before:
            connection.execution_options(**{_SKIPPED: before})


def _snapshot_of(connection: sa.Connection, tables: Collection[str] | None, schema: str | None) -> dict[str, str]:
    inspector = sa.inspect(connection)
    doubtful = unproven(connection, schema)
    present = [name for name in inspector.get_table_names(schema) if not name.startswith(OWN_PREFIX)]
    chosen = [name for name in present if tables is None or name in tables]
    snapshot: dict[str, str] = {}
    for name in sorted(chosen):
        snapshot[name] = "table"
        for column in inspector.get_columns(name, schema):
            snapshot[f"{name}.{column['name']}"] = _column(column)
        snapshot.update(_constraints(inspector, name, schema, doubtful))
    return snapshot


def columns_by_table(connection: sa.Connection, tables: Collection[tuple[str, str | None]]) -> dict[str, set[str]]:
    """The names of the columns of those of `tables` (name and schema) that are there."""
    inspector = sa.inspect(connection)
    there = [(name, schema) for name, schema in tables if inspector.has_table(name, schema)]
    return {name: {column["name"] for column in inspector.get_columns(name, schema)} for name, schema in there}


def differences(expected: Snapshot, actual: Snapshot) -> list[Difference]:
    """Where `actual` departs from `expected`, by path."""
    return [
        Difference(path, expected.get(path), actual.get(path))
        for path in sorted({*expected, *actual})
        if expected.get(path) != actual.get(path)
    ]


def carried_over(recorded: Snapshot, before: Snapshot, after: Snapshot) -> dict[str, str]:
    """`recorded` with the changes between `before` and `after`, and no others.

    So a migration's own changes become the new expectation, while drift that was there before stays drift.
    """
    result = dict(recorded)
    for change in differences(before, after):
        if change.actual is None:
            result.pop(change.path, None)
        else:
            result[change.path] = change.actual
    return result


def columns_present(snapshot: Snapshot) -> dict[str, set[str]]:
    """The column names of each table, by table name."""
    found: dict[str, set[str]] = {}
    for path, text in snapshot.items():
        if text == "table":
            found.setdefault(path, set())
    for path in snapshot:
        table, _, column = path.partition(".")
        if column and table in found:
            found[table].add(column)
    return found


def _column(column: Any) -> str:
    parts = [str(column["type"]), "NULL" if column["nullable"] else "NOT NULL"]
    if column.get("default") is not None:
        parts.append(f"DEFAULT {_normalised(str(column['default']))}")
    if column.get("identity"):
        parts.append("IDENTITY")
    return " ".join(parts)


def _normalised(expression: str) -> str:
    return re.sub(r"\s+", " ", expression.strip())


def _constraints(inspector: sa.Inspector, table: str, schema: str | None, doubtful: Unproven) -> dict[str, str]:
    found: dict[str, str] = {}
    primary = inspector.get_pk_constraint(table, schema)
    if primary["constrained_columns"]:
        found[f"{table} primary key"] = _listed(primary["constrained_columns"])
    for index in inspector.get_indexes(table, schema):
        unique = " UNIQUE" if index["unique"] else ""
        found[f"{table} index {index['name']}"] = f"{_listed(index['column_names'])}{unique}"
        if (table, index["name"]) in doubtful.indexes:
            found[f"{table} index {index['name']}"] += " INVALID"
    for key in inspector.get_foreign_keys(table, schema):
        rule = key.get("options", {}).get("ondelete") or "NO ACTION"
        target = f"{key['referred_table']} {_listed(key['referred_columns'])}"
        found[f"{table} foreign key {_listed(key['constrained_columns'])}"] = f"{target} ON DELETE {rule}"
        if (table, key["name"]) in doubtful.constraints:
            found[f"{table} foreign key {_listed(key['constrained_columns'])}"] += " NOT VALID"
    for unique_key in inspector.get_unique_constraints(table, schema):
        found[f"{table} unique {_listed(unique_key['column_names'])}"] = "UNIQUE"
    for check in inspector.get_check_constraints(table, schema):
        found[f"{table} check {check['name'] or ''}"] = _normalised(str(check["sqltext"]))
        if (table, check["name"]) in doubtful.constraints:
            found[f"{table} check {check['name']}"] += " NOT VALID"
    return found


def _listed(names: Collection[str | None]) -> str:
    return f"({', '.join(str(name) for name in names)})"
