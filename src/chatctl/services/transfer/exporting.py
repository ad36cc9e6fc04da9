"""`export`: a table's rows in the order of their keys, in constant memory, such that importing gives them again.

Rows are read in pages by key, each a statement of its own: nothing on the server is held for as long as a large
table takes. A row that is there from beginning to end is in the file once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Outcome, Result
from chatctl.errors import InterruptedRunError
from chatctl.services.transfer.formats import STANDARD, Format, format_of
from chatctl.services.transfer.output import whole_file
from chatctl.services.transfer.target import TransferTable, TransferTarget
from chatctl.services.transfer.writers import RowWriter
from chatctl.stores.sql.dialects import Dialect
from chatctl.stores.sql.types import EpochTime

_PAGE_ROWS = 10_000
#: How many rows of a page are fetched at once: the rest waits on the server.
_FETCH_ROWS = 500


@dataclass(frozen=True)
class ExportRequest:
    """What was asked for; `out` is a file's name, packed as it ends, or `-`."""

    entity: str
    out: str = STANDARD
    format: Format | None = None


def export_rows(
    target: TransferTarget, request: ExportRequest, progress: Progress, stop: StopSignal, stdout: BinaryIO
) -> Result:
    """Writes the entity's rows to `request.out`, whole or not at all, or to `stdout`.

    Raises what `TransferTarget.table` does, UsageError where nothing tells the format, DiskFullError or RefusedError
    for the file, IntegrityError for a value that the format has no word for, InterruptedRunError once `stop` is asked
    for: an export begins anew.
    """
    table = target.table(request.entity)
    format = format_of(request.out, request.format)
    started = time.monotonic()
    progress.start(None, "rows")
    with _stream(request.out, stdout) as stream, target.database.connect() as connection:
        writer = RowWriter(stream, table.entity, table.columns, format)
        for rows in pages(connection, target.database.dialect, table):
            if stop.requested:
                raise InterruptedRunError("Interrupted; an export begins anew.")
            writer.write(rows)
            progress.advance(len(rows))
    seconds = time.monotonic() - started
    return Result(
        {
            "entity": request.entity,
            "file": None if request.out == STANDARD else request.out,
            "format": format.value,
            "rows": writer.count,
            "seconds": round(seconds, 3),
            "rows_per_second": round(writer.count / max(seconds, 0.001)),
        },
        Outcome.DONE,
    )


@contextmanager
def _stream(out: str, stdout: BinaryIO) -> Iterator[BinaryIO]:
    if out != STANDARD:
        with whole_file(Path(out)) as stream:
            yield stream
        return
    yield stdout
    stdout.flush()


def pages(connection: sa.Connection, dialect: Dialect, target: TransferTable) -> Iterator[Sequence[tuple[Any, ...]]]:
    """The rows in the order of their keys, some hundred at a time."""
    # Without types the server reads a key as its column's own, whatever the layout says of it.
    keys: list[sa.ColumnClause[Any]] = [sa.column(column.name) for column in target.table.primary_key]
    values = [_value(dialect, column).label(f"v{at}") for at, column in enumerate(target.table.c)]
    query = sa.select(*values, *keys).select_from(target.table).order_by(*keys).limit(_PAGE_ROWS)
    last: tuple[Any, ...] | None = None
    while True:
        page = query if last is None else query.where(_behind(keys, last))
        count = 0
        # Rows come as the server sends them; a page's end is where the next query begins.
        result = connection.execute(page.execution_options(yield_per=_FETCH_ROWS))
        for part in result.partitions():
            last = tuple(part[-1][len(values) :])
            count += len(part)
            yield [tuple(row[: len(values)]) for row in part]
        if count < _PAGE_ROWS:
            return


def _value(dialect: Dialect, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    if isinstance(column.type, sa.JSON):
        # As text: the driver's own reading would tell a JSON text from JSON no more.
        return dialect.as_text(column)
    if isinstance(column.type, EpochTime):
        return sa.type_coerce(column, sa.BigInteger)
    return column


def _behind(keys: Sequence[sa.ColumnClause[Any]], last: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The rows behind the key `last`, spelled out: not every engine uses an index for a comparison of tuples."""
    bounds = [sa.bindparam(f"k{at}", value, type_=sa.types.NullType()) for at, value in enumerate(last)]
    alternatives = [
        sa.and_(*(keys[before] == bounds[before] for before in range(at)), key > bounds[at])
        for at, key in enumerate(keys)
    ]
    return sa.or_(*alternatives)
