"""Rows out of JSON lines: one object a line. Knows no files."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from chatctl.services.transfer.convert import RowConverter
from chatctl.services.transfer.lines import LineReader, LongLineError
from chatctl.services.transfer.rejects import Reject
from chatctl.services.transfer.taken import Rows, Taken
from chatctl.services.transfer.unfit import RowError
from chatctl.services.transfer.value_reader import UNFIT
from chatctl.services.transfer.values import refuse_constant


class JsonLines:
    """Takes lines from `lines` and makes rows of them; counts the records that hold each `unknown` field."""

    def __init__(self, lines: LineReader, converter: RowConverter, unknown: Counter[str]) -> None:
        self._lines = lines
        self._converter = converter
        self._unknown = unknown
        parse_float = Decimal if converter.exact_numbers else None
        self._load = json.JSONDecoder(parse_float=parse_float, parse_constant=refuse_constant).decode
        self._names: set[str] = set()
        self._fields = converter.fields_in(())
        self._mark = secrets.token_hex(8)

    @property
    def offset(self) -> int:
        """Where the next line begins in the unpacked bytes."""
        return self._lines.offset

    @property
    def line(self) -> int:
        """How many lines lie before the next one."""
        return self._lines.line

    @property
    def _columns(self) -> tuple[str, ...]:
        return tuple(field.key for field in self._fields)

    def skip_to(self, offset: int, line: int) -> None:
        """Moves on to the line that begins at `offset`."""
        self._lines.skip_to(offset, line)

    def take(self, most: int) -> Taken | None:
        """The rows and rejects of at most `most` lines; None at the end."""
        first = self._lines.line + 1
        try:
            lines = self._lines.lines(most)
        except LongLineError as problem:
            return Taken(self._columns, [], (), [self._reject(problem.line, problem.head, RowError(str(problem)))])
        if not lines:
            return None
        rejects: list[Reject] = []
        places: Sequence[int] = range(len(lines))
        try:
            records = self._records(lines)
        except UNFIT:
            records, places = self._records_one_by_one(lines, first, rejects)
        names: set[str] = set().union(*records)
        for name in self._converter.unknown(names):
            self._unknown[name] += sum(name in record for record in records)
        if not names <= self._names:
            # Once a field was seen, its column is in all later rows: they needn't be widened again and again.
            self._names |= names
            self._fields = self._converter.fields_in(self._names)
        try:
            rows = self._converter.rows(records, names, self._fields)
        except UNFIT:
            rows, places = self._rows_one_by_one(records, places, lines, first, rejects)
        return Taken(self._columns, rows, [first + place for place in places], rejects)

    def _records(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """All lines parsed as one array, which takes half the time that parsing each does.

        A mark that no file can know stands between them: broken lines that make sense together (`{"a": [1` and
        `2]}`) would swallow it, and are found out. Raises ValueError where any line is no single JSON object.
        """
        mark = self._mark
        array = b"[" + f',"{mark}",'.encode().join(lines) + b"]"
        values = self._load(array.decode())
        records: list[dict[str, Any]] = values[::2]
        if values[1::2] != [mark] * (len(lines) - 1) or len(records) != len(lines):
            raise ValueError("not one value a line")
        if set(map(type, records)) != {dict}:
            raise ValueError("not only objects")
        return records

    def _records_one_by_one(
        self, lines: Sequence[bytes], first: int, rejects: list[Reject]
    ) -> tuple[list[dict[str, Any]], Sequence[int]]:
        """The objects of the lines that hold one, and their places among `lines`."""
        records: list[dict[str, Any]] = []
        places: list[int] = []
        for place, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                records.append(self._record(line))
                places.append(place)
            except RowError as problem:
                rejects.append(self._reject(first + place, line, problem))
        return records, places

    def _rows_one_by_one(
        self,
        records: Sequence[dict[str, Any]],
        places: Sequence[int],
        lines: Sequence[bytes],
        first: int,
        rejects: list[Reject],
    ) -> tuple[Rows, Sequence[int]]:
        """The rows of the records that fit, and their places among `lines`."""
        rows: Rows = []
        kept: list[int] = []
        for record, place in zip(records, places, strict=True):
            try:
                rows.append(self._converter.row(record, self._fields))
                kept.append(place)
            except RowError as problem:
                rejects.append(self._reject(first + place, lines[place], problem))
        rejects.sort(key=lambda reject: reject.line)
        return rows, kept

    def _reject(self, number: int, line: bytes, problem: RowError) -> Reject:
        raw = line.decode(errors="backslashreplace").rstrip("\r")
        return Reject(self._lines.name, number, str(problem), raw)

    def _record(self, line: bytes) -> dict[str, Any]:
        try:
            record = self._load(line.decode())
        except UnicodeDecodeError as problem:
            raise RowError("is not UTF-8") from problem
        except json.JSONDecodeError as problem:
            raise RowError(f"is not JSON: {problem.msg}, column {problem.colno}") from problem
        except ValueError as problem:
            raise RowError(f"is not JSON: {problem}") from problem
        except RecursionError as problem:
            raise RowError("is nested too deeply") from problem
        if not isinstance(record, dict):
            raise RowError("is not a JSON object")
        return record
