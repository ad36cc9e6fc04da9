"""Rows as JSON lines, extended JSON, CSV or TSV, such that importing them gives the same rows again.

Streams: memory is bounded by a batch. The conventions of CSV stand in `cells`, those of JSON in `encoders`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from chatctl.errors import IntegrityError
from chatctl.layouts.model import Entity
from chatctl.services.transfer.cells import NULL
from chatctl.services.transfer.encoders import Encoder, cell_encoder, json_encoder
from chatctl.services.transfer.formats import Format, format_of
from chatctl.services.transfer.output import whole_file
from chatctl.services.transfer.value_reader import UNFIT
from chatctl.services.transfer.values import dump_json

_BATCH_ROWS = 1_000


class RowWriter:
    """Writes rows (tuples in the order of `columns`) to a binary stream, which stays open; `count` of them so far.

    Values are those that an import makes, see RowConverter; datetimes may be aware, epoch times datetimes, too.
    JSON columns come as JSON text. `names` calls columns, by key, something else than the application does.
    """

    def __init__(
        self,
        stream: BinaryIO,
        entity: Entity,
        columns: Sequence[str],
        format: Format,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Writes the header, where the format has one."""
        self.count = 0
        self._stream = stream
        self._names = [(names or {}).get(key, entity.columns[key].name) for key in columns]
        declared = [entity.columns[key] for key in columns]
        self._delimiter = None if format.is_json else format.delimiter
        self._null = "null" if format.is_json else NULL
        self._encoders: list[Encoder] = [
            json_encoder(column, extended=format is Format.BSON) if format.is_json else cell_encoder(column)
            for column in declared
        ]
        fields = [f"{dump_json(name)}:".replace("%", "%%") + "%s" for name in self._names]
        self._line = "{" + ",".join(fields) + "}\n"
        if self._delimiter is not None:
            self._write_records([self._names])

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Writes `rows`; raises IntegrityError naming column and row for a value that the format has no word for."""
        if not rows:
            return
        columns = [self._encoded(place, values) for place, values in enumerate(zip(*rows, strict=True))]
        records = zip(*columns, strict=True)
        if self._delimiter is None:
            line = self._line
            self._stream.write("".join([line % record for record in records]).encode())
        else:
            self._write_records(records)
        self.count += len(rows)

    def _encoded(self, place: int, values: Sequence[Any]) -> list[str]:
        encode, null = self._encoders[place], self._null
        try:
            return [null if value is None else encode(value) for value in values]
        except UNFIT:
            for number, value in enumerate(values, self.count + 1):
                self._check(place, number, value)
            raise

    def _check(self, place: int, number: int, value: Any) -> None:
        try:
            if value is not None:
                self._encoders[place](value)
        except UNFIT as problem:
            raise IntegrityError(
                f"{self._names[place]} of row {number} can't be written: {problem}.",
                hint="The row's value isn't what its column declares: correct it in the database.",
            ) from problem

    def _write_records(self, records: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        # With \\r\\n as its line end, csv quotes a lone \\r too.
        csv.writer(text, delimiter=self._delimiter or ",", lineterminator="\r\n").writerows(records)
        self._stream.write(text.getvalue().encode())


def write_rows(rows: Iterable[tuple[Any, ...]], writer: RowWriter) -> int:
    """Writes all of `rows` in batches and returns how many there were."""
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH_ROWS)):
        writer.write(batch)
    return writer.count


def export_rows(
    rows: Iterable[tuple[Any, ...]],
    entity: Entity,
    columns: Sequence[str],
    path: Path,
    format: Format | None = None,
    names: Mapping[str, str] | None = None,
) -> int:
    """Writes `rows` to `path`, whole or not at all, packed as its name ends, and returns how many there were.

    Raises UsageError where neither `format` nor the name says the format, DiskFullError or RefusedError for the
    file, IntegrityError as RowWriter does.
    """
    chosen = format_of(path.name, format)
    with whole_file(path) as stream:
        return write_rows(rows, RowWriter(stream, entity, columns, chosen, names))
