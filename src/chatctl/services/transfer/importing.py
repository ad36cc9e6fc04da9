"""`import`: rows of files into a table, in journaled batches that go on where they stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import ChatctlError, InputFileError, NoPrivilegeError, UnfinishedRunError
from chatctl.services.transfer.formats import Format
from chatctl.services.transfer.import_work import ImportWork
from chatctl.services.transfer.loading import RowLoader
from chatctl.services.transfer.prefetch import Chunks, chunks_of, rare_collections
from chatctl.services.transfer.readers import CHUNK_ROWS, Position, ReadOptions, RowSource
from chatctl.services.transfer.rejects import reject_path
from chatctl.services.transfer.target import TransferTable, TransferTarget
from chatctl.stores.sql.batches import BatchRunner, Pace, RunTotals
from chatctl.stores.sql.batches.ranges import Ranges
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.locks import RunLock

_KIND = "import"
_FIRST_BATCH = 10_000
_LARGEST_BATCH = 50_000
#: Where no server answers, each chunk goes into the table while it's still in the processor's cache.
_CHUNK_ROWS_IN_PROCESS = 2_000
#: New rows are in nobody's way, so a batch may take its time.
_BATCH_MS = 2_000


@dataclass(frozen=True)
class ImportRequest:
    """What was asked for: `renames` are from a file's field to a column; `rejects` is a file's name."""

    files: tuple[str, ...]
    entity: str
    format: Format | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    empty_is_null: bool = False
    rejects: str | None = None
    batch_size: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For the journal: what a resumed run must share."""
        return {
            "files": list(self.files),
            "format": self.format.value if self.format else None,
            "map": dict(self.renames),
            "empty_is_null": self.empty_is_null,
            "rejects": str(reject_path(self.files, self.rejects).resolve()),
        }


def import_files(
    target: TransferTarget,
    request: ImportRequest,
    progress: Progress,
    stop: StopSignal,
    stdin: BinaryIO | None = None,
) -> Result:
    """Imports what `request` asks for, or goes on with the same import where it stopped.

    Partial where rows didn't fit, interrupted where `stop` was asked for. Raises what `RowSource.open` and
    `TransferTarget.table` do, LockedError where another import fills the table, UnfinishedRunError where another one
    stopped half-way, StalePlanError where a file has changed since its import began.
    """
    table = target.table(request.entity)
    source = open_source(target, table, request, stdin)
    target.journal.ensure()
    with RunLock(target.journal, f"{_KIND}-{request.entity}") as lock:
        run = _unfinished(target, request, source)
        beside_server = not target.database.dialect.in_process
        with rare_collections(), chunks_of(source, stop, beside_server=beside_server) as chunks:
            # A file that can't be read at all leaves no run behind.
            chunks.peek()
            return _Import(target, request, table, source, chunks, lock, progress, stop).carry_out(run)


class _Import:
    def __init__(
        self,
        target: TransferTarget,
        request: ImportRequest,
        table: TransferTable,
        source: RowSource,
        chunks: Chunks,
        lock: RunLock,
        progress: Progress,
        stop: StopSignal,
    ) -> None:
        self._target = target
        self._request = request
        self._table = table
        self._source = source
        self._chunks = chunks
        self._lock = lock
        self._progress = progress
        self._stop = stop
        self._rejects = reject_path(request.files, request.rejects)
        self._warnings: list[Notice] = []

    def carry_out(self, unfinished: Run | None) -> Result:
        run, rows_before = self._begin(unfinished)
        try:
            totals = self._work(run)
            if totals.finished:
                self._advance_sequence()
        except InputFileError as problem:
            # The same file will never be readable, so the run can't go on; what is in counts as repeated next time.
            self._finish(run, RunStatus.FAILED, {}, str(problem))
            raise
        except BaseException as problem:
            self._finish(run, RunStatus.INTERRUPTED, {}, str(problem))
            raise
        rejected = totals.counts.get("rejected", 0)
        status = RunStatus.PARTIAL if rejected else RunStatus.DONE
        data = self._data(totals, rows_before, resumed=unfinished is not None)
        self._finish(run, status if totals.finished else RunStatus.INTERRUPTED, data, None)
        self._warn_of_unknown_fields()
        if not totals.finished:
            return Result(data, Outcome.INTERRUPTED, run.id, tuple(self._warnings))
        problems = (rejected_notice(totals.rows, rejected, data["reject_file"]),) if rejected else ()
        return Result(data, Outcome.PARTIAL if rejected else Outcome.DONE, run.id, tuple(self._warnings), problems)

    def _begin(self, unfinished: Run | None) -> tuple[Run, int]:
        """The run, and how many records it has read before."""
        journal = self._target.journal
        with journal.database.begin() as connection:
            if unfinished is not None:
                rows, *_ = Ranges(journal).totals(connection, unfinished.id)
                return journal.runs.resume(connection, unfinished), rows
            options = {**self._request.as_json(), "identities": self._source.identities}
            run = journal.runs.start(connection, _KIND, self._target.layout.name, self._request.entity, options)
            Ranges(journal).add(connection, run.id, [{}])
            return run, 0

    def _work(self, run: Run) -> RunTotals:
        loader = RowLoader(self._target.database, self._table.table)
        work = ImportWork(self._chunks, loader, self._table, self._request.files, self._rejects)
        self._progress.start(None, "rows")
        runner = BatchRunner(
            self._target.journal,
            run.id,
            work,
            pace=Pace(start=_FIRST_BATCH, target_ms=_BATCH_MS, largest=_LARGEST_BATCH, fixed=self._request.batch_size),
            progress=self._progress,
            stop=self._stop,
            guard=self._lock.check,
            alone=True,
        )
        return runner.run()

    def _advance_sequence(self) -> None:
        try:
            with self._target.database.begin() as connection:
                self._target.database.dialect.advance_sequence(connection, self._table.table)
        except NoPrivilegeError as problem:
            hint = "Its owner can: SELECT setval(…), or the application's next row meets a number that is taken."
            self._warnings.append(
                Notice("sequence_behind", f"The table's sequence couldn't be moved on: {problem.message}", hint)
            )

    def _finish(self, run: Run, status: RunStatus, totals: Mapping[str, Any], error: str | None) -> None:
        journal = self._target.journal
        with contextlib.ExitStack() as tolerant:
            if error is not None:
                # Without a database to say so, the run stays as it is, which is unfinished too.
                tolerant.enter_context(contextlib.suppress(ChatctlError))
            with journal.database.begin() as connection:
                journal.runs.finish(connection, run.id, status, totals, error)

    def _data(self, totals: RunTotals, rows_before: int, *, resumed: bool) -> dict[str, Any]:
        counts = totals.counts
        rejected = counts.get("rejected", 0)
        return {
            "entity": self._request.entity,
            "files": list(self._request.files),
            "rows_read": totals.rows,
            "imported": counts.get("imported", 0),
            "repeated": counts.get("repeated", 0),
            "rejected": rejected,
            "reject_file": str(self._rejects) if rejected else None,
            "batches": totals.batches,
            "seconds": round(totals.seconds, 3),
            "rows_per_second": round((totals.rows - rows_before) / max(totals.seconds, 0.001)),
            "resumed": resumed,
            "dry_run": False,
        }

    def _warn_of_unknown_fields(self) -> None:
        self._warnings += unknown_fields(self._source)


def _unfinished(target: TransferTarget, request: ImportRequest, source: RowSource) -> Run | None:
    """The run that goes on, with `source` moved to where it stopped; None where a new one begins."""
    journal = target.journal
    with target.database.connect() as connection:
        run = journal.runs.unfinished(connection, _KIND, target.layout.name, request.entity)
        if run is None:
            return None
        (position,) = Ranges(journal).positions(connection, run.id)
    asked = request.as_json()
    same_files = run.options["identities"] == source.identities
    differs = [name for name, value in asked.items() if run.options[name] != value and name != "files"]
    if differs or not (same_files or run.options["files"] == asked["files"]):
        raise UnfinishedRunError(
            f"Run {run.id} is unfinished: it imports {', '.join(run.options['files'])} into '{request.entity}'.",
            hint=f"Repeat its command to finish it, or give it up: chatctl runs cancel {run.id}",
        )
    source.resume(Position.from_json(position), run.options["identities"])
    return run


def open_source(
    target: TransferTarget, table: TransferTable, request: ImportRequest, stdin: BinaryIO | None
) -> RowSource:
    """The rows of the request's files for `table`."""
    usual = _CHUNK_ROWS_IN_PROCESS if target.database.dialect.in_process else CHUNK_ROWS
    chunk_rows = min(request.batch_size or usual, usual)
    options = ReadOptions(request.format, request.renames, request.empty_is_null, chunk_rows, table.omittable)
    return RowSource.open(request.files, table.entity, table.columns, options, stdin=stdin)


def rejected_notice(rows: int, rejected: int, file: str | None) -> Notice:
    """What is said of records that didn't fit."""
    hint = f"{file} says which and why." if file else None
    return Notice("rows_rejected", f"{rejected:,} of {rows:,} records don't fit; the others are in.", hint)


def unknown_fields(source: RowSource) -> list[Notice]:
    """A warning that names the fields which feed no column, if there are any."""
    fields = source.unknown_fields
    if not fields:
        return []
    named = ", ".join(f"{name} ({count:,} records)" for name, count in sorted(fields.items()))
    hint = "--map THEIRS=OURS feeds a field into a column of another name."
    return [Notice("unknown_fields", f"Fields that feed no column were left out: {named}.", hint)]
