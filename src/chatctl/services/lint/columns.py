"""Reads a column's definition and its type as MySQL, MariaDB and PostgreSQL write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chatctl.services.lint.cursor import Cursor, parts, text
from chatctl.services.lint.ddl import Column, Position, SqlType

#: Other spellings of a type → the shortest one.
_SPELLINGS = {
    "integer": "int", "int4": "int", "middleint": "mediumint", "int8": "bigint", "int2": "smallint",
    "int1": "tinyint", "bool": "tinyint", "boolean": "tinyint", "numeric": "decimal", "dec": "decimal",
    "fixed": "decimal", "float8": "double", "float4": "float", "character": "char",
    "nchar": "char", "nvarchar": "varchar", "varcharacter": "varchar",
}  # fmt: skip
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_CHARSETS = {"utf8": "utf8mb3"}


def charset_named(name: str) -> str:
    """The character set that `name` means."""
    return _CHARSETS.get(name.lower(), name.lower())


def read_type(cursor: Cursor) -> SqlType:
    """Reads a type, with its brackets and what belongs to its name."""
    token = cursor.take()
    name = token.text.lower() if token else ""
    name = _SPELLINGS.get(name, name)
    if cursor.accept("PRECISION"):
        name = "double"
    elif cursor.accept("VARYING"):
        name = f"var{name}"
    inside = cursor.group()
    arguments = tuple(part[0].text if len(part) == 1 else text(part) for part in parts(inside or []))
    if cursor.accept("WITH", "TIME", "ZONE"):
        name = f"{name}tz"
    cursor.accept("WITHOUT", "TIME", "ZONE")
    unsigned = False
    while (word := cursor.accept_any("UNSIGNED", "SIGNED", "ZEROFILL")) is not None:
        unsigned = unsigned or word != "SIGNED"
    # What stands in an integer's brackets is a display width, which changes nothing.
    return SqlType(name, () if name in _INTEGERS else arguments, unsigned)


def read_column(cursor: Cursor) -> tuple[Column, Position | None]:
    """Reads `name type …` to its end, and the place that is named for it."""
    found = _Definition(cursor.name())
    found.read(cursor)
    return Column(**found.values), found.position


@dataclass
class _Definition:
    """A definition while it is being read; its values are Column's fields."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    position: Position | None = None

    def read(self, cursor: Cursor) -> None:
        self.values = {"name": self.name, "type": self._type(cursor)}
        while not cursor.at_end:
            if not self._read_attribute(cursor):
                cursor.take()

    def _type(self, cursor: Cursor) -> SqlType:
        if not cursor.peek("SERIAL"):
            return read_type(cursor)
        cursor.take()
        self.values.update(nullable=False, auto_increment=True, key="unique")
        return SqlType("bigint", unsigned=True)

    def _read_attribute(self, cursor: Cursor) -> bool:
        return self._read_value(cursor) or self._read_key(cursor) or self._read_place(cursor)

    def _read_value(self, cursor: Cursor) -> bool:
        values = self.values
        if cursor.accept("NOT", "NULL"):
            values["nullable"] = False
        elif cursor.accept("NULL"):
            values["nullable"] = True
        elif cursor.accept("DEFAULT"):
            default = cursor.expression()
            values["default"] = None if default.upper() == "NULL" else default
        elif cursor.accept("ON", "UPDATE"):
            cursor.expression()
        elif cursor.accept("AUTO_INCREMENT"):
            values.update(auto_increment=True, nullable=False)
        elif cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET"):
            values["charset"] = charset_named(cursor.name())
        elif cursor.accept("COLLATE"):
            values["collation"] = cursor.name().lower()
        elif cursor.accept("COMMENT"):
            cursor.take()
        elif cursor.accept("COMPRESSED"):
            values["compressed"] = True
        else:
            return self._read_generated(cursor)
        return True

    def _read_generated(self, cursor: Cursor) -> bool:
        if not (cursor.accept("GENERATED", "ALWAYS", "AS") or cursor.accept("AS")):
            return False
        self.values["expression"] = text(cursor.group() or [])
        stored = cursor.accept_any("STORED", "PERSISTENT", "VIRTUAL") in ("STORED", "PERSISTENT")
        self.values["generated"] = "stored" if stored else "virtual"
        return True

    def _read_key(self, cursor: Cursor) -> bool:
        values = self.values
        if cursor.accept("PRIMARY", "KEY") or cursor.accept("PRIMARY") or cursor.accept("KEY"):
            values.update(key="primary", nullable=False)
        elif cursor.accept("UNIQUE", "KEY") or cursor.accept("UNIQUE"):
            values["key"] = "unique"
        elif cursor.accept("REFERENCES"):
            values["references"] = cursor.name()
            cursor.group()
            while cursor.accept("ON"):
                cursor.take()
                _ = cursor.accept("SET", "NULL") or cursor.accept("NO", "ACTION") or cursor.take()
        elif cursor.accept("CONSTRAINT"):
            if not cursor.peek("CHECK"):
                cursor.name()
        elif cursor.accept("CHECK"):
            values["check"] = text(cursor.group() or [])
        else:
            return False
        return True

    def _read_place(self, cursor: Cursor) -> bool:
        if cursor.accept("FIRST"):
            self.position = Position()
        elif cursor.accept("AFTER"):
            self.position = Position(cursor.name())
        else:
            return False
        return True
