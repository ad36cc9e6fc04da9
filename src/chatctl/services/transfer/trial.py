"""`import --dry-run`: everything is read and checked, nothing is written, not even the reject file."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import BinaryIO

from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.services.transfer.importing import ImportRequest, open_source, rejected_notice, unknown_fields
from chatctl.services.transfer.loading import RowLoader
from chatctl.services.transfer.prefetch import chunks_of, rare_collections
from chatctl.services.transfer.rejects import Reject, reject_path
from chatctl.services.transfer.target import TransferTarget

#: How many of the reasons are told.
_REASONS = 5


def try_import(
    target: TransferTarget,
    request: ImportRequest,
    progress: Progress,
    stop: StopSignal,
    stdin: BinaryIO | None = None,
) -> Result:
    """What an import would do, as far as that can be told without writing.

    What the database alone would refuse is not foreseen, nor that an ID comes again far behind its first place.
    Raises what `import_files` does for files and tables.
    """
    table = target.table(request.entity)
    reject_path(request.files, request.rejects)
    source = open_source(target, table, request, stdin)
    loader = RowLoader(target.database, table.table)
    started = time.monotonic()
    rows = imported = rejected = 0
    reasons: list[Reject] = []
    progress.start(None, "rows")
    with (
        rare_collections(),
        chunks_of(source, stop, beside_server=False) as chunks,
        target.database.connect() as connection,
    ):
        while not stop.requested and (chunk := chunks.take()) is not None:
            imported += loader.fresh(connection, chunk.columns, chunk.rows)
            rejected += len(chunk.rejects)
            reasons += islice(chunk.rejects, max(0, _REASONS - len(reasons)))
            count = len(chunk.rows) + len(chunk.rejects)
            rows += count
            progress.advance(count)
        finished = chunks.peek() is None
    seconds = time.monotonic() - started
    data = {
        "entity": request.entity,
        "files": list(request.files),
        "rows_read": rows,
        "imported": imported,
        "repeated": rows - rejected - imported,
        "rejected": rejected,
        "reject_file": None,
        "batches": 0,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / max(seconds, 0.001)),
        "resumed": False,
        "dry_run": True,
    }
    if not finished:
        return Result(data, Outcome.INTERRUPTED)
    problems = (rejected_notice(rows, rejected, None), *_told(reasons)) if rejected else ()
    return Result(data, Outcome.PARTIAL if rejected else Outcome.DONE, None, tuple(unknown_fields(source)), problems)


def _told(reasons: Iterable[Reject]) -> list[Notice]:
    return [Notice("row_rejected", f"{reject.file}, line {reject.line}: {reject.reason}.") for reject in reasons]
