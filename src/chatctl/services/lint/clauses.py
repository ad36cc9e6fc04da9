"""Reads what stands between the commas of an ALTER TABLE or a CREATE TABLE."""

from __future__ import annotations

from collections.abc import Callable

from chatctl.services.lint.columns import charset_named, read_column, read_type
from chatctl.services.lint.cursor import Cursor, parts, text
from chatctl.services.lint.ddl import (
    Action,
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    AlterDefault,
    ChangeColumn,
    ConvertCharset,
    DropColumn,
    DropConstraint,
    DropIndex,
    Index,
    IndexKind,
    OtherAction,
    RenameColumn,
    RenameTable,
    RetypeColumn,
    SetNullable,
    TableOption,
)

_KINDS: dict[str, IndexKind] = {
    "PRIMARY": "primary", "UNIQUE": "unique", "FULLTEXT": "fulltext", "SPATIAL": "spatial",
}  # fmt: skip
_CHARSET_WORDS = (("DEFAULT", "CHARACTER", "SET"), ("DEFAULT", "CHARSET"), ("CHARACTER", "SET"), ("CHARSET",))


def read_clause(cursor: Cursor) -> list[Action]:
    """The actions of one clause of an ALTER TABLE: mostly one, several where options follow each other."""
    for words, read in _CLAUSES:
        if cursor.accept(*words):
            return read(cursor)
    options = read_options(cursor)
    return [*options] if options else [OtherAction(text(cursor.rest()))]


def read_element(cursor: Cursor) -> Action:
    """A column, an index or a constraint: what CREATE TABLE lists and what ALTER TABLE adds."""
    name = ""
    if cursor.accept("CONSTRAINT") and not any(cursor.peek(word) for word in ("PRIMARY", "UNIQUE", "FOREIGN", "CHECK")):
        name = cursor.name()
    if cursor.accept("FOREIGN", "KEY"):
        return _foreign_key(cursor, name)
    if cursor.accept("CHECK"):
        return AddCheck(name, text(cursor.group() or []))
    word = cursor.accept_any(*_KINDS)
    if word or cursor.peek("INDEX") or cursor.peek("KEY"):
        return AddIndex(read_index(cursor, _KINDS.get(word or "", "index"), name))
    cursor.accept("COLUMN")
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    column, position = read_column(cursor)
    return AddColumn(column, position, if_not_exists)


def read_index(cursor: Cursor, kind: IndexKind, name: str = "") -> Index:
    """`[INDEX|KEY] [IF NOT EXISTS] [name] [USING …] (columns)`."""
    cursor.accept_any("INDEX", "KEY")
    cursor.accept("IF", "NOT", "EXISTS")
    if cursor.current is not None and not cursor.current.is_symbol("(") and not cursor.peek("USING"):
        name = cursor.name()
    if cursor.accept("USING"):
        cursor.take()
    return Index("" if kind == "primary" else name, kind, _names(cursor))


def read_options(cursor: Cursor) -> list[TableOption]:
    """Table options until the end: `ENGINE=InnoDB COMMENT 'x'`, `PARTITION BY …`."""
    options: list[TableOption] = []
    while not cursor.at_end:
        for words in _CHARSET_WORDS:
            if cursor.accept(*words):
                cursor.symbol("=")
                options.append(TableOption("CHARSET", charset_named(cursor.name())))
                break
        else:
            options.append(_option(cursor))
    return options


def _option(cursor: Cursor) -> TableOption:
    cursor.accept("DEFAULT")
    if cursor.accept("PARTITION", "BY"):
        return TableOption("PARTITION BY", text(cursor.rest()))
    token = cursor.take()
    name = token.text.upper() if token else ""
    if name in ("FORCE", "REMOVE", "ADD", "DROP", "REORGANIZE"):
        return TableOption(" ".join([name, *(item.text.upper() for item in cursor.rest())]))
    cursor.symbol("=")
    value = cursor.take()
    return TableOption(name, value.text if value else "")


def _names(cursor: Cursor) -> tuple[str, ...]:
    return tuple(Cursor(part).name() for part in parts(cursor.group() or []))


def _foreign_key(cursor: Cursor, name: str) -> AddForeignKey:
    cursor.accept("IF", "NOT", "EXISTS")
    if cursor.current is not None and not cursor.current.is_symbol("("):
        name = cursor.name()
    columns = _names(cursor)
    cursor.accept("REFERENCES")
    return AddForeignKey(name, columns, cursor.name())


def _add(cursor: Cursor) -> list[Action]:
    if any(cursor.peek(word) for word in ("SYSTEM", "PARTITION", "PERIOD")):
        return [TableOption("ADD " + text(cursor.rest()).upper())]
    cursor.accept("COLUMN")
    cursor.accept("IF", "NOT", "EXISTS")
    listed = cursor.group()
    if listed is not None:
        return [read_element(Cursor(part)) for part in parts(listed)]
    return [read_element(cursor)]


def _drop(cursor: Cursor) -> list[Action]:
    if cursor.peek("SYSTEM") or cursor.peek("PARTITION"):
        return [TableOption("DROP " + text(cursor.rest()).upper())]
    if cursor.accept("PRIMARY", "KEY"):
        return [DropIndex(None)]
    word = cursor.accept_any("INDEX", "KEY", "FOREIGN", "CONSTRAINT", "CHECK", "COLUMN")
    cursor.accept("KEY")
    cursor.accept("IF", "EXISTS")
    name = cursor.name()
    if word in ("INDEX", "KEY"):
        return [DropIndex(name)]
    return [DropColumn(name) if word in (None, "COLUMN") else DropConstraint(name)]


def _modify(cursor: Cursor) -> list[Action]:
    cursor.accept("COLUMN")
    cursor.accept("IF", "EXISTS")
    column, position = read_column(cursor)
    return [ChangeColumn(column.name, column, position)]


def _change(cursor: Cursor) -> list[Action]:
    cursor.accept("COLUMN")
    cursor.accept("IF", "EXISTS")
    name = cursor.name()
    column, position = read_column(cursor)
    return [ChangeColumn(name, column, position)]


def _alter(cursor: Cursor) -> list[Action]:
    if cursor.accept_any("INDEX", "KEY"):
        return [OtherAction(text(cursor.rest()))]
    cursor.accept("COLUMN")
    name = cursor.name()
    if cursor.accept("SET", "DATA", "TYPE") or cursor.accept("TYPE"):
        return [_retype(cursor, name)]
    if cursor.accept("SET", "NOT", "NULL"):
        return [SetNullable(name, nullable=False)]
    if cursor.accept("DROP", "NOT", "NULL"):
        return [SetNullable(name, nullable=True)]
    if not (cursor.peek("SET", "DEFAULT") or cursor.peek("DROP", "DEFAULT")):
        return [OtherAction(text(cursor.rest()))]
    default = cursor.expression() if cursor.accept("SET", "DEFAULT") else None
    return [AlterDefault(name, None if default and default.upper() == "NULL" else default)]


def _retype(cursor: Cursor, name: str) -> RetypeColumn:
    type_ = read_type(cursor)
    collation = cursor.name() if cursor.accept("COLLATE") else None
    return RetypeColumn(name, type_, collation, computed=cursor.accept("USING"))


def _set(cursor: Cursor) -> list[Action]:
    return [TableOption("SET " + text(cursor.rest()).upper())]


def _rename(cursor: Cursor) -> list[Action]:
    if cursor.accept("COLUMN"):
        old = cursor.name()
        cursor.accept("TO")
        return [RenameColumn(old, cursor.name())]
    if cursor.accept_any("INDEX", "KEY", "CONSTRAINT"):
        return [OtherAction(text(cursor.rest()))]
    if cursor.accept_any("TO", "AS"):
        return [RenameTable(cursor.name())]
    first = cursor.name()
    # PostgreSQL may leave COLUMN out, MySQL may leave TO out.
    return [RenameColumn(first, cursor.name()) if cursor.accept("TO") else RenameTable(first)]


def _convert(cursor: Cursor) -> list[Action]:
    _ = cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET")
    charset = charset_named(cursor.name())
    return [ConvertCharset(charset, cursor.name().lower() if cursor.accept("COLLATE") else None)]


def _order(cursor: Cursor) -> list[Action]:
    return [TableOption("ORDER BY", text(cursor.rest()))]


def _keep(cursor: Cursor) -> list[Action]:
    return [OtherAction(text(cursor.rest()))]


_CLAUSES: tuple[tuple[tuple[str, ...], Callable[[Cursor], list[Action]]], ...] = (
    (("ADD",), _add),
    (("DROP",), _drop),
    (("MODIFY",), _modify),
    (("CHANGE",), _change),
    (("ALTER",), _alter),
    (("SET",), _set),
    (("RENAME",), _rename),
    (("CONVERT", "TO"), _convert),
    (("ORDER", "BY"), _order),
    (("DISABLE",), _keep),
    (("ENABLE",), _keep),
)
