"""Reads the DDL of MySQL, MariaDB, SQLite and PostgreSQL into `ddl`'s values.

What it doesn't know it leaves alone: a clause of an ALTER TABLE becomes an OtherAction, a statement that changes no
table becomes None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from chatctl.services.lint.clauses import read_clause, read_element, read_index, read_options
from chatctl.services.lint.cursor import Cursor, parts, text
from chatctl.services.lint.ddl import (
    AddColumn,
    AddIndex,
    AlterTable,
    CreateTable,
    Ddl,
    DropIndex,
    DropTables,
    Index,
    IndexKind,
    LockTables,
    RenameTables,
    SetVariables,
    TableOption,
)
from chatctl.services.lint.tokens import Token


def parse(found: Sequence[Token]) -> Ddl | None:
    """The schema change that a statement's tokens are, or None where they are none."""
    cursor = Cursor(found)
    for words, read in _READERS:
        if cursor.accept(*words):
            return read(cursor)
    return None


def _create(cursor: Cursor) -> Ddl | None:
    cursor.accept("OR", "REPLACE")
    if cursor.accept("TABLE"):
        return _create_table(cursor)
    kind: IndexKind = "index"
    match cursor.accept_any("UNIQUE", "FULLTEXT", "SPATIAL"):
        case "UNIQUE":
            kind = "unique"
        case "FULLTEXT":
            kind = "fulltext"
        case "SPATIAL":
            kind = "spatial"
    return _create_index(cursor, kind) if cursor.accept("INDEX") else None


def _create_table(cursor: Cursor) -> CreateTable:
    cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.name()
    elements = [read_element(Cursor(part)) for part in parts(cursor.group() or [])]
    columns = [item.column for item in elements if isinstance(item, AddColumn)]
    indexes = [item.index for item in elements if isinstance(item, AddIndex)]
    indexes += [Index(column.name, column.key, (column.name,)) for column in columns if column.key]
    return CreateTable(
        name,
        tuple(columns),
        tuple(indexes),
        {option.name: option.value for option in read_options(cursor)},
    )


def _create_index(cursor: Cursor, kind: IndexKind) -> AlterTable:
    cursor.accept("CONCURRENTLY")
    cursor.accept("IF", "NOT", "EXISTS")
    name = "" if cursor.peek("ON") else cursor.name()
    if cursor.accept("USING"):
        cursor.take()
    cursor.accept("ON")
    cursor.accept("ONLY")
    table = cursor.name()
    if cursor.accept("USING"):
        cursor.take()
    return AlterTable(table, (AddIndex(replace(read_index(cursor, kind), name=name)), *read_options(cursor)))


def _drop(cursor: Cursor) -> Ddl | None:
    if cursor.accept("TABLE"):
        cursor.accept("IF", "EXISTS")
        return DropTables(_names(cursor))
    if cursor.accept("INDEX"):
        cursor.accept("CONCURRENTLY")
        cursor.accept("IF", "EXISTS")
        name = cursor.name()
        cursor.accept("ON")
        return AlterTable(cursor.name(), (DropIndex(name), *read_options(cursor)))
    return None


def _alter(cursor: Cursor) -> Ddl | None:
    cursor.accept("ONLINE")
    cursor.accept("IGNORE")
    if not cursor.accept("TABLE"):
        return None
    cursor.accept("IF", "EXISTS")
    cursor.accept("ONLY")
    table = cursor.name()
    return AlterTable(table, tuple(action for part in parts(cursor.rest()) for action in read_clause(Cursor(part))))


def _optimize(cursor: Cursor) -> Ddl:
    return AlterTable(cursor.name(), (TableOption("FORCE"),))


def _vacuum(cursor: Cursor) -> Ddl:
    return AlterTable(cursor.name(), (TableOption("VACUUM FULL"),))


def _cluster(cursor: Cursor) -> Ddl:
    return AlterTable(cursor.name(), (TableOption("CLUSTER"),))


def _rename(cursor: Cursor) -> Ddl:
    pairs = []
    for part in parts(cursor.rest()):
        pair = Cursor(part)
        old = pair.name()
        pair.accept("TO")
        pairs.append((old, pair.name()))
    return RenameTables(tuple(pairs))


def _lock(cursor: Cursor) -> Ddl:
    return LockTables(_names(cursor))


def _names(cursor: Cursor) -> tuple[str, ...]:
    return tuple(Cursor(part).name() for part in parts(cursor.rest()))


def _set(cursor: Cursor) -> Ddl:
    cursor.accept_any("SESSION", "LOCAL")
    return SetVariables(_assignments(cursor.rest()))


def _set_statement(cursor: Cursor) -> Ddl | None:
    tokens = cursor.rest()
    end = next((at for at, token in enumerate(tokens) if token.is_word("FOR")), len(tokens))
    statement = parse(tokens[end + 1 :])
    if isinstance(statement, AlterTable):
        return replace(statement, variables=_assignments(tokens[:end]))
    return statement


def _assignments(found: Sequence[Token]) -> dict[str, str]:
    values = {}
    for part in parts(found):
        cursor = Cursor(part)
        name = cursor.name().lower().removeprefix("@@")
        cursor.symbol(":")
        cursor.symbol("=")
        values[name] = text(cursor.rest()).strip("'").lower()
    return values


_READERS: tuple[tuple[tuple[str, ...], Callable[[Cursor], Ddl | None]], ...] = (
    (("CREATE",), _create),
    (("DROP",), _drop),
    (("ALTER",), _alter),
    (("OPTIMIZE", "TABLE"), _optimize),
    (("VACUUM", "FULL"), _vacuum),
    (("CLUSTER",), _cluster),
    (("RENAME", "TABLE"), _rename),
    (("LOCK", "TABLES"), _lock),
    (("LOCK", "TABLE"), _lock),
    (("SET", "STATEMENT"), _set_statement),
    (("SET",), _set),
)
