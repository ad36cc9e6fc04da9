"""Tells which changes of a column's type PostgreSQL makes without writing or reading a row."""

from __future__ import annotations

from chatctl.services.lint.catalog import Table
from chatctl.services.lint.ddl import RetypeColumn, SqlType

#: Other spellings → one name.
_NAMES = {"bpchar": "char", "double": "float8"}
#: What grows in its brackets alone.
_LENGTHS = ("varchar", "varbit")
#: Digits of a second, six where none are named.
_INSTANTS = ("timestamp", "timestamptz", "time", "timetz", "interval")
_TEXTS = ("varchar", "text")
_MOST_DIGITS = 6


def is_free(action: RetypeColumn, table: Table | None) -> bool:
    """Whether the change is of the catalog alone; False where the column isn't known."""
    old = table.column(action.name) if table else None
    if table is None or old is None or action.computed:
        return False
    if action.collation is not None and table.is_indexed(action.name):
        return False
    return _widens(old.type, action.type)


def _widens(old: SqlType, new: SqlType) -> bool:
    before, after = (_NAMES.get(item.name, item.name) for item in (old, new))
    if before in _TEXTS and after in _TEXTS:
        return new.length is None or (before == "varchar" and old.length is not None and new.length >= old.length)
    if before != after:
        return (before, after) == ("cidr", "inet")
    if before in _INSTANTS:
        return _digits(new) >= _digits(old)
    if before == "decimal":
        return not new.arguments or (bool(old.arguments) and _scale(new) == _scale(old) and _grows(old, new))
    if before in _LENGTHS:
        return new.length is None or _grows(old, new)
    return old.arguments == new.arguments


def _grows(old: SqlType, new: SqlType) -> bool:
    return old.length is not None and new.length is not None and new.length >= old.length


def _digits(type_: SqlType) -> int:
    return type_.length if type_.length is not None else _MOST_DIGITS


def _scale(type_: SqlType) -> str:
    return type_.arguments[1] if len(type_.arguments) > 1 else "0"
