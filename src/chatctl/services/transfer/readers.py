"""Files as a stream of rows: what an import iterates over, and where it takes up again after a kill.

Memory is bounded by a chunk, a few MiB of text, whatever the files' sizes. No database here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from chatctl.errors import InputFileError
from chatctl.layouts.model import Entity
from chatctl.services.transfer.cells import Cells
from chatctl.services.transfer.convert import RowConverter
from chatctl.services.transfer.files import InputFile, changed_input
from chatctl.services.transfer.formats import Format, format_of
from chatctl.services.transfer.json_lines import JsonLines
from chatctl.services.transfer.lines import LineReader
from chatctl.services.transfer.output import file_errors
from chatctl.services.transfer.rejects import Reject
from chatctl.services.transfer.taken import widened

#: A chunk ends with the first of these.
CHUNK_ROWS = 10_000
_CHUNK_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Position:
    """A place between two records: the file's index, its unpacked bytes and lines before it.

    `rejects_bytes` is the length that the reject file has here; whoever writes that file fills it in.
    """

    file: int = 0
    offset: int = 0
    line: int = 0
    rejects_bytes: int = 0

    def to_json(self) -> dict[str, int]:
        """The position as JSON values, for the journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, int]) -> Position:
        """The position that `to_json` gave."""
        return cls(**value)


@dataclass(frozen=True)
class Chunk:
    """Rows that fit (tuples in the order of `columns`) with the lines (from 1) that they begin on, records that don't
    fit, the place behind them all, and how many bytes they were.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    lines: list[int]
    rejects: list[Reject]
    position: Position
    bytes: int


@dataclass(frozen=True)
class ReadOptions:
    """How files are read: a format instead of the one their names tell, `renames` from a file's field to a column's
    key or name, whether an empty CSV cell is no value in text columns too, the most rows of a chunk, and the columns
    that chunks may lack where the files do.
    """

    format: Format | None = None
    renames: Mapping[str, str] | None = None
    empty_is_null: bool = False
    chunk_rows: int = CHUNK_ROWS
    omittable: Collection[str] = ()


class RowSource:
    """Iterates over the chunks of some files. `unknown_fields` counts, by name, the records that held a field which
    feeds no column; `columns` are the keys that a row's values stand for.
    """

    def __init__(
        self, files: Sequence[InputFile], entity: Entity, columns: Sequence[str], options: ReadOptions, start: Position
    ) -> None:
        self.columns = tuple(columns)
        self.unknown_fields: Counter[str] = Counter()
        self._files = files
        self._options = options
        self._start = start
        self._formats = [format_of(file.name, options.format) for file in files]
        self._converters = {
            extended: RowConverter(entity, columns, options.renames, extended=extended, omittable=options.omittable)
            for extended in (False, True)
        }

    @classmethod
    def open(
        cls,
        files: Sequence[str],
        entity: Entity,
        columns: Sequence[str],
        options: ReadOptions | None = None,
        *,
        start: Position | None = None,
        identities: Sequence[str] | None = None,
        stdin: BinaryIO | None = None,
    ) -> RowSource:
        """The rows that `files` (`-` is standard input) hold for those `columns` of `entity`, given by key.

        `start` is where an earlier import got to, `identities` what its files were then. Raises NotFoundError or
        RefusedError for a file that can't be read, InputFileError or UsageError for one of no known format,
        MissingEntityError for an unknown column, and StalePlanError where a file has changed since.
        """
        opened = [InputFile(file, stdin) for file in files]
        source = cls(opened, entity, columns, options or ReadOptions(), start or Position())
        if identities is not None:
            source.resume(source._start, identities)
        return source

    def resume(self, start: Position, identities: Sequence[str]) -> None:
        """Iteration shall begin at `start`; raises StalePlanError where the files are no longer those `identities`."""
        self._check(identities)
        self._start = start

    @property
    def has_streams(self) -> bool:
        """Whether any of the files is standard input or a pipe."""
        return any(file.is_stream for file in self._files)

    @property
    def identities(self) -> list[str]:
        """What the files are now, to be handed in again on resume."""
        return [file.identity for file in self._files]

    def _check(self, identities: Sequence[str]) -> None:
        now = self.identities
        if len(now) != len(identities):
            raise changed_input(", ".join(file.name for file in self._files))
        for file, before, after in zip(self._files, identities, now, strict=True):
            if before != after:
                raise changed_input(file.name)

    def __iter__(self) -> Iterator[Chunk]:
        """The chunks from `start` on; raises InputFileError for a header or compressed data that can't be used."""
        for index in range(self._start.file, len(self._files)):
            yield from self._chunks(index, self._start if index == self._start.file else Position(index))

    def _chunks(self, index: int, start: Position) -> Iterator[Chunk]:
        file = self._files[index]
        source = file.open()
        try:
            rows = self._rows_of(LineReader(file.name, source), self._formats[index], file)
            if start.offset:
                rows.skip_to(start.offset, start.line)
            while True:
                with file_errors(file.name):
                    chunk = self._gather(rows, index)
                if chunk is None:
                    break
                yield chunk
        finally:
            source.close()

    def _gather(self, source: JsonLines | Cells, index: int) -> Chunk | None:
        """What `source` hands out next, put together to a chunk's size."""
        began, most = source.offset, self._options.chunk_rows
        columns: tuple[str, ...] = ()
        rows: list[tuple[Any, ...]] = []
        lines: list[int] = []
        rejects: list[Reject] = []
        while len(rows) < most and len(rejects) < most and source.offset - began < _CHUNK_BYTES:
            taken = source.take(most - len(rows))
            if taken is None:
                break
            if rows and taken.columns != columns:
                rows = widened(rows, columns, taken.columns)
            columns = taken.columns
            rows += taken.rows
            lines += taken.lines
            rejects += taken.rejects
        if source.offset == began:
            return None
        place = Position(index, source.offset, source.line)
        return Chunk(columns, rows, lines, rejects, place, source.offset - began)

    def _rows_of(self, lines: LineReader, format: Format, file: InputFile) -> JsonLines | Cells:
        converter = self._converters[format is Format.BSON]
        if not format.is_json:
            return Cells(
                lines,
                converter,
                self.unknown_fields,
                delimiter=format.delimiter,
                empty_is_null=self._options.empty_is_null,
            )
        if file.head.lstrip().startswith(b"["):
            raise InputFileError(
                f"'{file.name}' is one JSON array; JSON lines have an object on each line.",
                hint="jq -c '.[]' makes lines of it.",
            )
        return JsonLines(lines, converter, self.unknown_fields)
