"""The readers of text, UUID and JSON columns, and which reader each kind of column has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import UUID

from chatctl.layouts.model import ColumnType, Kind
from chatctl.services.transfer.extended_json import LITERAL, plain
from chatctl.services.transfer.numbers import BooleanReader, DecimalReader, FloatReader, IntegerReader
from chatctl.services.transfer.times import EpochReader, InstantReader
from chatctl.services.transfer.unfit import UnfitError
from chatctl.services.transfer.value_reader import ValueReader

_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def check_characters(text: str) -> None:
    """Raises UnfitError where `text` holds what no engine, or not every engine, can store."""
    if "\0" in text:
        raise UnfitError("holds a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as problem:
            undecoded = "\udc80" <= text[problem.start] <= "\udcff"
            what = "bytes that aren't UTF-8" if undecoded else "a lone surrogate, half of a character"
            raise UnfitError(f"holds {what}") from problem


def refuse_constant(name: str) -> Any:
    """For json's `parse_constant`: NaN and Infinity are Python's own, not JSON."""
    raise ValueError(f"{name} isn't JSON")


_load_json = json.JSONDecoder(parse_constant=refuse_constant).decode
#: `default=float` is for numbers that came as Decimal, so that a decimal column elsewhere in the row stays exact.
dump_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=float).encode


class TextReader(ValueReader):
    """Text of at most `length` characters. Integers and UUIDs count as text; true, 1.5 and lists don't."""

    expected = "text"

    def __init__(self, length: int | None) -> None:
        self.length = length

    def cell(self, text: str) -> str:
        """An empty cell is an empty text."""
        return text

    def read(self, value: Any) -> str:
        """The text, checked."""
        if not isinstance(value, str):
            if isinstance(value, bool) or not isinstance(value, int | UUID):
                raise self.refusal()
            value = str(value)
        if self.length is not None and len(value) > self.length:
            raise UnfitError(f"is longer than {self.length} characters")
        check_characters(value)
        return cast(str, value)

    def many(self, values: Sequence[Any]) -> Sequence[Any]:
        """All texts checked as one; a column that holds anything else goes value by value."""
        try:
            joined = "".join(values)
        except TypeError:
            return super().many(values)
        check_characters(joined)
        if self.length is not None and max(map(len, values), default=0) > self.length:
            raise UnfitError("is too long")
        return values


class ChoiceReader(TextReader):
    """Text that is one of `choices`: the column's CHECK would refuse the whole batch for any other."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(None)
        self.choices = frozenset(choices)
        self._none_of_them = f"is none of {', '.join(choices)}"

    def read(self, value: Any) -> str:
        """The choice."""
        text = super().read(value)
        if text not in self.choices:
            raise UnfitError(self._none_of_them)
        return text

    def many(self, values: Sequence[Any]) -> Sequence[Any]:
        """A column of choices passes as it is."""
        return values if self.choices.issuperset(values) else [self.one(value) for value in values]


class UuidReader(ValueReader):
    """UUIDs as text, lower case with hyphens."""

    expected = "a UUID"

    def read(self, value: Any) -> str:
        """The UUID in its canonical form."""
        try:
            return str(value if isinstance(value, UUID) else UUID(value))
        except (ValueError, TypeError, AttributeError):
            raise self.refusal() from None


class JsonReader(ValueReader):
    """JSON values as compact JSON text, keys as they come.

    With `extended`, BSON's forms inside are made plain; else everything stands as it came. A dict of `$literal`
    alone is always the value in it, verbatim.
    """

    expected = "JSON"
    cells_are_values = False

    def __init__(self, *, extended: bool) -> None:
        self.extended = extended

    def one(self, value: Any) -> str:
        """The value as canonical JSON text."""
        if isinstance(value, dict) and len(value) == 1 and LITERAL in value:
            value = value[LITERAL]
        elif self.extended:
            value = plain(value)
        text = dump_json(value)
        check_characters(text)
        if "\\u0000" in text and _ESCAPED_NUL.search(text):
            raise UnfitError("holds a NUL character")
        return text

    def cell(self, text: str) -> Any:
        """The JSON value that a cell spells out; an empty cell is no value."""
        if not text:
            return None
        try:
            return {LITERAL: _load_json(text)}
        except (ValueError, RecursionError) as problem:
            raise UnfitError("is not JSON") from problem


_READERS: dict[Kind, Callable[[ColumnType], ValueReader]] = {
    Kind.TEXT: lambda declared: TextReader(declared.length),
    Kind.LONGTEXT: lambda declared: TextReader(None),
    Kind.INTEGER: lambda declared: IntegerReader(32),
    Kind.BIGINT: lambda declared: IntegerReader(64),
    Kind.BOOLEAN: lambda declared: BooleanReader(),
    Kind.FLOAT: lambda declared: FloatReader(),
    Kind.DECIMAL: lambda declared: DecimalReader(*decimal_shape(declared)),
    Kind.DATETIME: lambda declared: InstantReader(declared.precision),
    Kind.EPOCH: lambda declared: EpochReader(declared.ticks_per_second),
    Kind.UUID: lambda declared: UuidReader(),
}


def decimal_shape(declared: ColumnType) -> tuple[int, int]:
    """Digits and decimals of a decimal column: (18, 6) where the layout says neither, as in the tables."""
    given = [int(part) for part in declared.arguments]
    return (given[0] if given else 18, given[1] if len(given) > 1 else 0 if given else 6)


def reader_of(declared: ColumnType, *, choices: Sequence[str] = (), extended: bool = False) -> ValueReader:
    """The reader of a column's type; `extended` makes BSON's forms inside JSON columns plain."""
    if choices:
        return ChoiceReader(choices)
    if declared.kind is Kind.JSON:
        return JsonReader(extended=extended)
    return _READERS[declared.kind](declared)
