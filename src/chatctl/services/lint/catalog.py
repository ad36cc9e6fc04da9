"""The schema that a statement meets: tables as they were given, changed by each statement that was read since.

Names of columns are compared without regard to case, as the servers do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import singledispatch

from chatctl.services.lint.ddl import (
    Action,
    AddColumn,
    AddIndex,
    AlterDefault,
    AlterTable,
    ChangeColumn,
    Column,
    ConvertCharset,
    CreateTable,
    Ddl,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropTables,
    Index,
    Position,
    RenameColumn,
    RenameTable,
    RenameTables,
    RetypeColumn,
    SetNullable,
    TableOption,
)


@dataclass(frozen=True)
class Table:
    """A table's columns in order, its indexes, and what is known of its text and rows.

    `is_new` marks one that the linted statements made themselves: it is empty and nobody uses it yet.
    """

    name: str
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    charset: str | None = None
    collation: str | None = None
    row_format: str = ""
    is_new: bool = False
    #: A FULLTEXT index leaves a hidden column behind, which the next rebuild takes away.
    was_searched: bool = False

    def column(self, name: str) -> Column | None:
        """The column of that name, if there is one."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)

    def is_indexed(self, name: str) -> bool:
        """Whether an index or the primary key has the column."""
        return any(name.lower() in map(str.lower, index.columns) for index in self.indexes)

    def has_kind(self, kind: str) -> bool:
        """Whether it has an index of that kind."""
        return any(index.kind == kind for index in self.indexes)


@singledispatch
def changed(action: Action, table: Table) -> Table:
    """`table` after one action of an ALTER TABLE; what changes nothing that is known leaves it as it is."""
    return table


@changed.register
def _(action: AddColumn, table: Table) -> Table:
    column = action.column
    if table.column(column.name) is not None:
        return table
    keyed = [Index(column.name, column.key, (column.name,))] if column.key else []
    columns = _placed(table.columns, column, action.position)
    return replace(table, columns=columns, indexes=(*table.indexes, *keyed))


@changed.register
def _(action: DropColumn, table: Table) -> Table:
    name = action.name.lower()
    left = [replace(index, columns=tuple(c for c in index.columns if c.lower() != name)) for index in table.indexes]
    columns = tuple(column for column in table.columns if column.name.lower() != name)
    return replace(table, columns=columns, indexes=tuple(index for index in left if index.columns))


@changed.register
def _(action: ChangeColumn, table: Table) -> Table:
    return _redefined(table, action.name, action.column, action.position)


@changed.register
def _(action: RenameColumn, table: Table) -> Table:
    found = table.column(action.name)
    return _redefined(table, action.name, replace(found, name=action.to)) if found else table


@changed.register
def _(action: AlterDefault, table: Table) -> Table:
    found = table.column(action.name)
    return _redefined(table, action.name, replace(found, default=action.default)) if found else table


@changed.register
def _(action: RetypeColumn, table: Table) -> Table:
    found = table.column(action.name)
    return _redefined(table, action.name, replace(found, type=action.type)) if found else table


@changed.register
def _(action: SetNullable, table: Table) -> Table:
    found = table.column(action.name)
    return _redefined(table, action.name, replace(found, nullable=action.nullable)) if found else table


@changed.register
def _(action: AddIndex, table: Table) -> Table:
    grown = replace(table, indexes=(*table.indexes, action.index))
    if action.index.kind == "primary":
        return replace(grown, columns=_without_null(table.columns, action.index.columns))
    return grown


@changed.register
def _(action: DropIndex, table: Table) -> Table:
    left = tuple(index for index in table.indexes if not _is_called(index, action.name))
    return replace(table, indexes=left, was_searched=table.was_searched or table.has_kind("fulltext"))


@changed.register
def _(action: DropConstraint, table: Table) -> Table:
    kept = [index for index in table.indexes if index.kind != "unique" or not _is_called(index, action.name)]
    return replace(table, indexes=tuple(kept))


@changed.register
def _(action: ConvertCharset, table: Table) -> Table:
    columns = tuple(replace(column, charset=None, collation=None) for column in table.columns)
    return replace(table, columns=columns, charset=action.charset, collation=action.collation)


@changed.register
def _(action: TableOption, table: Table) -> Table:
    match action.name:
        case "CHARSET":
            return replace(table, charset=action.value, collation=None)
        case "COLLATE":
            return replace(table, collation=action.value.lower())
        case "FORCE":
            return replace(table, was_searched=False)
        case "ROW_FORMAT":
            return replace(table, row_format=action.value.upper())
    return table


@changed.register
def _(action: RenameTable, table: Table) -> Table:
    return replace(table, name=action.to)


def _redefined(table: Table, name: str, column: Column, position: Position | None = None) -> Table:
    lower = name.lower()
    indexes = [
        replace(index, columns=tuple(column.name if item.lower() == lower else item for item in index.columns))
        for index in table.indexes
    ]
    columns = tuple(column if item.name.lower() == lower else item for item in table.columns)
    if position is not None:
        columns = _placed([item for item in columns if item is not column], column, position)
    return replace(table, columns=columns, indexes=tuple(indexes))


def _placed(columns: Iterable[Column], column: Column, position: Position | None) -> tuple[Column, ...]:
    listed = list(columns)
    if position is None:
        return (*listed, column)
    if position.after is None:
        return (column, *listed)
    names = [item.name.lower() for item in listed]
    at = names.index(position.after.lower()) + 1 if position.after.lower() in names else len(listed)
    return (*listed[:at], column, *listed[at:])


def _is_called(index: Index, name: str | None) -> bool:
    return index.kind == "primary" if name is None else index.name.lower() == name.lower()


class Catalog:
    """The tables that are known, by name."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._given = False

    def get(self, name: str) -> Table | None:
        """The table, if it is known."""
        return self._tables.get(name)

    def lacks(self, name: str) -> bool:
        """Whether the schema was given, and has no such table."""
        return self._given and name not in self._tables

    def know(self, statement: Ddl | None) -> None:
        """Takes a statement of a schema that is there already: its tables are in use."""
        self._given = True
        self._take(statement, is_new=False)

    def apply(self, statement: Ddl | None) -> None:
        """Takes a statement that was linted: its tables are new."""
        self._take(statement, is_new=True)

    def settle(self) -> None:
        """Takes it that the new tables are in use."""
        self._tables = {name: replace(table, is_new=False) for name, table in self._tables.items()}
        self._given = True

    def _take(self, statement: Ddl | None, *, is_new: bool) -> None:
        match statement:
            case CreateTable(table):
                if table not in self._tables:
                    self._tables[table] = _made(statement, is_new=is_new)
            case AlterTable(table, actions):
                self._alter(table, actions)
            case DropTables(tables):
                for name in tables:
                    self._tables.pop(name, None)
            case RenameTables(pairs):
                for old, new in pairs:
                    self._alter(old, (RenameTable(new),))
            case _:
                pass

    def _alter(self, name: str, actions: Iterable[Action]) -> None:
        table = self._tables.pop(name, None)
        if table is None:
            return
        for action in actions:
            table = changed(action, table)
        self._tables[table.name] = table


def _without_null(columns: Iterable[Column], primary: Iterable[str]) -> tuple[Column, ...]:
    """The columns as they are under a primary key over `primary`."""
    names = {name.lower() for name in primary}
    return tuple(replace(column, nullable=False) if column.name.lower() in names else column for column in columns)


def _made(statement: CreateTable, *, is_new: bool) -> Table:
    primary = [name for index in statement.indexes if index.kind == "primary" for name in index.columns]
    options = statement.options
    collation = options.get("COLLATE", "").lower() or None
    return Table(
        statement.table,
        _without_null(statement.columns, primary),
        statement.indexes,
        options.get("CHARSET") or (collation.partition("_")[0] if collation else None),
        collation,
        options.get("ROW_FORMAT", "").upper(),
        is_new,
    )
