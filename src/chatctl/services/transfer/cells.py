"""Rows out of CSV and TSV: records of cells under a header. Knows no files.

The conventions, which `writers` keeps too: RFC 4180 quoting, for TSV with tabs in the commas' place; `\\N` is no
value, and text that is itself backslashes and an N has one backslash more; an empty cell is an empty text, or no
value in a column of another kind.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from chatctl.errors import InputFileError
from chatctl.services.transfer.convert import MISSING, Field, RowConverter, join
from chatctl.services.transfer.lines import BLOCK_BYTES, LINE_LIMIT, LineReader, LongLineError
from chatctl.services.transfer.rejects import Reject
from chatctl.services.transfer.taken import Rows, Taken
from chatctl.services.transfer.unfit import RowError, UnfitError
from chatctl.services.transfer.value_reader import UNFIT
from chatctl.services.transfer.values import TextReader

#: How "no value" is spelled, as PostgreSQL's and MySQL's own text formats do.
NULL = "\\N"


class Cells:
    """Takes records from `lines` and makes rows of them; counts the records that hold each `unknown` field.

    With `empty_is_null`, an empty cell is no value in text columns too.
    """

    def __init__(
        self,
        lines: LineReader,
        converter: RowConverter,
        unknown: Counter[str],
        *,
        delimiter: str,
        empty_is_null: bool = False,
    ) -> None:
        """Reads the header; raises InputFileError where it lacks a column that every row needs."""
        # The module's own limit is global; a record's length is watched by _Records.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * LINE_LIMIT))
        self._lines = lines
        self._converter = converter
        self._unknown = unknown
        self._empty_is_null = empty_is_null
        self._records = _Records(lines)
        self._reader = csv.reader(self._records, delimiter=delimiter, strict=True)
        self._header = self._read_header()
        self._fields = converter.fields_in(self._header) if self._header else []
        self._columns = tuple(field.key for field in self._fields)
        self._places = [self._place(field) for field in self._fields]
        self._surplus = converter.unknown(set(self._header))

    @property
    def offset(self) -> int:
        """Where the next record begins in the unpacked bytes."""
        return self._records.offset

    @property
    def line(self) -> int:
        """How many lines lie before the next record."""
        return self._records.line

    def skip_to(self, offset: int, line: int) -> None:
        """Moves on to the record that begins at `offset`."""
        self._records.skip_to(offset, line)

    def take(self, most: int) -> Taken | None:
        """The rows and rejects of at most `most` records, less where they are long; None at the end."""
        records: list[list[str]] = []
        texts: list[tuple[int, list[str]]] = []
        rejects: list[Reject] = []
        reader, source = self._reader, self._records
        size = 0
        while len(records) + len(rejects) < most and size < BLOCK_BYTES:
            source.begin()
            line = source.line + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except (csv.Error, RowError) as problem:
                reason = str(problem) if isinstance(problem, RowError) else f"is no record: {problem}"
                rejects.append(self._reject(line, source.held, reason))
                continue
            size += source.size
            if cells:
                records.append(cells)
                texts.append((line, source.held))
        if not records:
            return Taken(self._columns, [], (), rejects) if rejects else None
        try:
            rows, kept = self._rows(records), [line for line, _ in texts]
        except UNFIT:
            rows, kept = self._one_by_one(records, texts, rejects)
        self._unknown.update(dict.fromkeys(self._surplus, len(records)))
        return Taken(self._columns, rows, kept, rejects)

    def _read_header(self) -> list[str]:
        self._records.begin()
        try:
            header = [name.strip() for name in next(self._reader, [])]
        except (csv.Error, RowError) as problem:
            raise InputFileError(f"'{self._lines.name}' has no readable header: {problem}.") from problem
        self._records.batch = 1_000
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise InputFileError(f"The header of '{self._lines.name}' names '{twice[0]}' twice.")
        return header

    def _place(self, field: Field) -> int | None:
        for source in field.sources:
            if source in self._header:
                return self._header.index(source)
        if field.absent is MISSING:
            raise InputFileError(
                f"The header of '{self._lines.name}' has no '{field.name}'.",
                hint=f"It has: {', '.join(self._header)}. --map THEIRS={field.name} says which one to take.",
            )
        return None

    def _rows(self, records: Sequence[list[str]]) -> Rows:
        if set(map(len, records)) != {len(self._header)}:
            raise ValueError("not all records have all cells")
        columns = list(zip(*records, strict=True))
        return join(
            self._fields,
            (
                [field.absent] * len(records) if place is None else self._values(field, columns[place])
                for field, place in zip(self._fields, self._places, strict=True)
            ),
        )

    def _values(self, field: Field, cells: Sequence[str]) -> Sequence[Any]:
        empty_is_text = isinstance(field.reader, TextReader) and not self._empty_is_null
        plain = field.reader.cells_are_values and NULL not in "\0".join(cells)
        if plain and (empty_is_text or "" not in cells):
            return cells
        return [self._value(field, cell) for cell in cells]

    def _value(self, field: Field, cell: str) -> Any:
        if cell == NULL or (not cell and self._empty_is_null):
            return None
        if cell[:1] == "\\" and cell.lstrip("\\") == "N":
            cell = cell[1:]
        try:
            return field.reader.cell(cell)
        except UnfitError as problem:
            raise RowError(f"{field.name} {problem}") from problem

    def _one_by_one(
        self, records: Sequence[list[str]], texts: Sequence[tuple[int, list[str]]], rejects: list[Reject]
    ) -> tuple[Rows, list[int]]:
        rows: Rows = []
        kept: list[int] = []
        for cells, (line, held) in zip(records, texts, strict=True):
            try:
                rows.append(self._row(cells))
                kept.append(line)
            except RowError as problem:
                rejects.append(self._reject(line, held, str(problem)))
        rejects.sort(key=lambda reject: reject.line)
        return rows, kept

    def _row(self, cells: Sequence[str]) -> tuple[Any, ...]:
        if len(cells) != len(self._header):
            raise RowError(f"has {len(cells)} cells under a header of {len(self._header)}")
        return tuple(
            field.one(field.absent if place is None else self._value(field, cells[place]))
            for field, place in zip(self._fields, self._places, strict=True)
        )

    def _reject(self, line: int, held: Sequence[str], reason: str) -> Reject:
        return Reject(self._lines.name, line, reason, "".join(held).rstrip("\r\n"))


class _Records:
    """The lines that csv.reader asks for, decoded, with what belongs to the record that is being read.

    Bytes that aren't UTF-8 come as lone surrogates, which no column takes: the record is still parsed whole.
    """

    def __init__(self, lines: LineReader) -> None:
        self._lines = lines
        #: How many lines are fetched at once; one by one until the header is read, as a resume skips from there.
        self.batch = 1
        self._fetched: list[bytes] = []
        self._texts: list[str] = []
        self._next = 0
        self.begin()

    @property
    def offset(self) -> int:
        """Where the next line begins in the unpacked bytes."""
        unread = self._fetched[self._next :]
        if not unread:
            return self._lines.offset
        return self._lines.offset - sum(map(len, unread)) - len(unread) + (not self._lines.ends_in_newline)

    @property
    def line(self) -> int:
        """How many lines lie before the next one."""
        return self._lines.line - len(self._fetched) + self._next

    def begin(self) -> None:
        """What comes next belongs to a new record."""
        self.held: list[str] = []
        self.size = 0

    def skip_to(self, offset: int, line: int) -> None:
        """Moves on from behind the header to the record that begins at `offset`."""
        self._lines.skip_to(offset, line)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._next == len(self._texts):
            self._fetch()
        text = self._texts[self._next] + "\n"
        self._next += 1
        self.held.append(text)
        self.size += len(text)
        if self.size > LINE_LIMIT:
            self.held = ["".join(self.held)[:1_000]]
            raise RowError(f"is longer than {LINE_LIMIT // 1024 // 1024} MiB")
        return text

    def _fetch(self) -> None:
        self._fetched, self._texts, self._next = [], [], 0
        try:
            self._fetched = self._lines.lines(self.batch)
        except LongLineError as problem:
            self.held.append(problem.head.decode(errors="surrogateescape"))
            raise RowError(str(problem)) from problem
        if not self._fetched:
            raise StopIteration
        self._texts = b"\n".join(self._fetched).decode(errors="surrogateescape").split("\n")
