"""Drives work through a run's ranges, batch by batch, until it is done or told to stop."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from chatctl.domain.progress import Progress, StopSignal
from chatctl.errors import DatabaseError, RetryableError
from chatctl.observe.fail_points import fail_point
from chatctl.stores.sql.batches.pace import Pace
from chatctl.stores.sql.batches.patience import patiently, retrying
from chatctl.stores.sql.batches.ranges import LEASE_SECONDS, Range, Ranges, RangeTakenOverError, worker_name
from chatctl.stores.sql.batches.work import BatchOutcome, Position, SettingAside, Work
from chatctl.stores.sql.journal import Journal

Batch = Callable[[sa.Connection, Position, Position, int], BatchOutcome]


@dataclass(frozen=True)
class RunTotals:
    """What a run has done so far, over all its attempts. `finished` says whether every range is at its end."""

    rows: int
    batches: int
    seconds: float
    finished: bool
    counts: dict[str, int]


class BatchRunner:
    """One worker on one run.

    `guard` is called inside each batch's transaction and raises where this worker may no longer write (a lost
    run lock). `gate` is called between batches with no transaction open: it may wait, and says whether to go on.
    `alone` says that no other worker can be on the run, so that a dead one's leases needn't run out.
    """

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        work: Work,
        *,
        pace: Pace,
        progress: Progress,
        stop: StopSignal,
        guard: Callable[..., None] | None = None,
        alone: bool = False,
        gate: Callable[[], bool] | None = None,
    ) -> None:
        self._database = journal.database
        self._ranges = Ranges(journal)
        self._run_id = run_id
        self._work = work
        self._pace = pace
        self._progress = progress
        self._stop = stop
        self._guard = guard
        self._alone = alone
        self._gate = gate
        self._worker = worker_name()

    def run(self) -> RunTotals:
        """Works until no range is left to claim or a stop is asked for; returns the run's totals."""
        started = time.monotonic()
        while self._may_go_on():
            claimed = patiently(self._claim)
            if claimed is None:
                break
            self._work_through(claimed)
        with self._database.connect() as connection:
            rows, batches, still_open, counts = self._ranges.totals(connection, self._run_id)
        return RunTotals(rows, batches, time.monotonic() - started, still_open == 0, counts)

    def _claim(self) -> Range | None:
        with self._database.begin() as connection:
            return self._ranges.claim(connection, self._run_id, self._worker, alone=self._alone)

    def _release(self, claimed: Range) -> None:
        with self._database.begin() as connection:
            self._ranges.release(connection, claimed)

    def _require_held(self, claimed: Range) -> None:
        with self._database.connect() as connection:
            self._ranges.require_held(connection, claimed)

    def _may_go_on(self) -> bool:
        return not self._stop.requested and (self._gate is None or self._gate())

    def _work_through(self, claimed: Range) -> None:
        finished = False
        try:
            while not finished and self._may_go_on():
                claimed, finished = self._one_batch(claimed)
        except RangeTakenOverError:
            # There are others to work on; and what takes longer than a lease is too much at once.
            self._pace.failed()
        finally:
            if not finished:
                patiently(lambda: self._release(claimed))

    def _one_batch(self, claimed: Range) -> tuple[Range, bool]:
        try:
            after, outcome = self._patiently(claimed, self._work.batch)
        except DatabaseError as problem:
            # What fails may be what another worker has done meanwhile.
            patiently(lambda: self._require_held(claimed))
            after, outcome = self._without_a_row(claimed, problem)
        self._work.committed(after.position)
        self._progress.advance(after.rows_done - claimed.rows_done)
        self._progress.state(f"batches of {self._pace.size:,}")
        return after, outcome

    def _without_a_row(self, claimed: Range, problem: DatabaseError) -> tuple[Range, bool]:
        """Tries less, down to one row; sets that aside if it still fails alone. Raises where the work can't."""
        work = self._work
        if not isinstance(work, SettingAside):
            raise problem
        if self._pace.size > 1:
            self._pace.failed()
            return claimed, False
        self._progress.note(f"Set aside: {problem.message}")

        def set_aside(connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
            return work.set_aside(connection, bounds, position, problem.message)

        return self._patiently(claimed, set_aside)

    def _patiently(self, claimed: Range, work: Batch) -> tuple[Range, bool]:
        token = secrets.token_hex(16)
        for attempt in retrying(lambda: isinstance(self._work, SettingAside) and self._pace.size > 1):
            with attempt:
                again = attempt.retry_state.attempt_number > 1
                after, finished = self._try_batch(claimed, work, token, again=again)
        return after, finished

    def _try_batch(self, claimed: Range, work: Batch, token: str, *, again: bool) -> tuple[Range, bool]:
        if again:
            # The connection may have died between the server's commit and its answer: look, don't guess.
            with self._database.connect() as connection:
                if self._ranges.was_committed(connection, claimed, token):
                    return self._ranges.reread(connection, claimed)
        try:
            return self._commit_batch(claimed, work, token)
        except RetryableError:
            self._pace.failed()
            raise

    def _commit_batch(self, claimed: Range, work: Batch, token: str) -> tuple[Range, bool]:
        started = time.monotonic()
        with self._database.begin() as connection:
            self._database.dialect.limit_idleness(connection, LEASE_SECONDS)
            if self._guard is not None:
                self._guard(connection)
            outcome = work(connection, claimed.bounds, claimed.position, self._pace.size)
            milliseconds = int((time.monotonic() - started) * 1000)
            after = self._ranges.advance(connection, claimed, outcome, token, milliseconds)
            fail_point("batch.before-commit")
        fail_point("batch.after-commit")
        self._pace.went_well(outcome.rows, int((time.monotonic() - started) * 1000))
        return after, outcome.finished
