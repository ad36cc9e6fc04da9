"""Tells what becomes of a column that is defined anew, as InnoDB sees it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from chatctl.services.lint.catalog import Table
from chatctl.services.lint.ddl import Column, SqlType
from chatctl.services.lint.engines import OnlineDdl, bytes_per_character

#: A length of at most this many bytes is kept in one byte.
LENGTH_BYTE = 255


class Difference(Enum):
    """How a column's two definitions differ."""

    #: The stored values must be written otherwise.
    TYPE = auto()
    #: A VARCHAR's length needs a second byte.
    LENGTH_BYTE = auto()
    #: Texts must be written in another character set.
    CHARSET = auto()
    #: The server can't change the collation in place.
    COLLATION = auto()
    #: NULL is allowed from now on.
    NULLABLE = auto()
    #: NULL is no longer allowed.
    NOT_NULL = auto()
    #: An INSERT that left it out no longer may.
    REQUIRED = auto()


@dataclass(frozen=True)
class Comparison:
    """A column of `table` before and after, on an engine."""

    table: Table
    old: Column
    new: Column
    engine: OnlineDdl

    def differences(self) -> frozenset[Difference]:
        """Everything about it that costs or breaks something."""
        found = {self._storage()} | {self._charset()} | self._null()
        return frozenset(item for item in found if item is not None)

    def _null(self) -> set[Difference | None]:
        found: set[Difference | None] = set()
        if self.old.nullable and not self.new.nullable:
            found.add(Difference.NOT_NULL)
        # Only ROW_FORMAT=REDUNDANT keeps room for a NULL that wasn't allowed.
        if not self.old.nullable and self.new.nullable and self.table.row_format != "REDUNDANT":
            found.add(Difference.NULLABLE)
        if self.new.required and not self.old.required:
            found.add(Difference.REQUIRED)
        return found

    def _storage(self) -> Difference | None:
        old, new = self.old.type, self.new.type
        if (self.old.generated, self.old.expression) != (self.new.generated, self.new.expression):
            return Difference.TYPE
        if self.old.compressed != self.new.compressed or self._name(old.name) != self._name(new.name):
            return Difference.TYPE
        if new.name in ("varchar", "varbinary"):
            return self._growth()
        if new.name in ("enum", "set"):
            return None if self._extends() else Difference.TYPE
        before, after = (_arguments(item) for item in (old, new))
        return Difference.TYPE if (before, old.unsigned) != (after, new.unsigned) else None

    def _name(self, name: str) -> str:
        return self.engine.json_type if name == "json" else name

    def _growth(self) -> Difference | None:
        before, after = self._bytes(self.old), self._bytes(self.new)
        if after < before or (self.new.type.length or 0) < (self.old.type.length or 0):
            return Difference.TYPE
        fits = before <= self.engine.roomy_varchar_bytes or before > LENGTH_BYTE or after <= LENGTH_BYTE
        return None if fits or self.table.row_format == "REDUNDANT" else Difference.LENGTH_BYTE

    def _bytes(self, column: Column) -> int:
        width = bytes_per_character(self.charset_of(column)) if column.type.is_text else 1
        return (column.type.length or 0) * width

    def _extends(self) -> bool:
        """Whether an ENUM or SET has new members only behind the old ones, and needs no more bytes for them."""
        old, new = self.old.type, self.new.type
        size = _enum_bytes if new.name == "enum" else _set_bytes
        return new.arguments[: len(old.arguments)] == old.arguments and size(len(old.arguments)) == size(
            len(new.arguments)
        )

    @property
    def recollates(self) -> bool:
        """Whether text is compared otherwise than before."""
        return self.old.type.is_text and self._collation_of(self.old) != self._collation_of(self.new)

    def _charset(self) -> Difference | None:
        if not (self.old.type.is_text and self.new.type.is_text):
            return None
        before, after = self.charset_of(self.old), self.charset_of(self.new)
        if before != after:
            # A CHAR is padded to its length in characters, which takes more bytes in a wider set.
            same_bytes = (before, after) in self.engine.same_bytes and self.new.type.name != "char"
            return None if same_bytes and not self.table.is_indexed(self.old.name) else Difference.CHARSET
        if self.recollates and not self.engine.changes_collation:
            return Difference.COLLATION
        return None

    def charset_of(self, column: Column) -> str:
        """The character set that a column's text is in."""
        if column.charset:
            return column.charset
        if column.collation:
            return column.collation.partition("_")[0]
        return self.table.charset or "utf8mb4"

    def _collation_of(self, column: Column) -> str:
        if column.collation:
            return column.collation
        if column.charset or not self.table.collation:
            return self.engine.collation_of(self.charset_of(column))
        return self.table.collation


def _arguments(type_: SqlType) -> tuple[str, ...]:
    """What stands in a type's brackets, or would."""
    if type_.name != "decimal":
        return type_.arguments
    return (*type_.arguments, "0")[:2] if type_.arguments else ("10", "0")


def _enum_bytes(members: int) -> int:
    return 1 if members <= LENGTH_BYTE else 2


def _set_bytes(members: int) -> int:
    size = (members + 7) // 8
    return 8 if size > 4 else size
