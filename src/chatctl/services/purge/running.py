"""`purge run`: plan under the lock, ask whoever has to agree, delete in batches, tell how it came out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import ChatctlError, DatabaseError, StalePlanError, StoppedEarlyError, UnfinishedRunError
from chatctl.services.purge.limits import Limits, Resting, utc_now
from chatctl.services.purge.planning import PurgePlan, count_eligible, make_plan, message_part
from chatctl.services.purge.reporting import Reporter
from chatctl.services.purge.sessions import BOUNDS, FIRST_NUMBER, SessionWork
from chatctl.services.purge.target import PURGE_LOCK, PurgeRequest, PurgeTarget
from chatctl.services.purge.works import BothWorks, Crew
from chatctl.stores.sql.batches import BatchRunner, Pace, RunTotals
from chatctl.stores.sql.batches.gate import Gate
from chatctl.stores.sql.batches.ranges import Ranges
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.locks import RunLock
from chatctl.stores.sql.purge.eligibility import Eligibility
from chatctl.stores.sql.purge.shares import shares
from chatctl.stores.sql.purge.work import LARGEST_BATCH, PurgeWork
from chatctl.stores.sql.thresholds import Thresholds

KIND = "purge"

_FIRST_BATCH = 500
_TARGET_MS = 500
#: Where something is to be spared: so long does the application wait for a batch at most, about.
_FIRST_GENTLE_BATCH = 50
_GENTLE_MS = 100


@dataclass(frozen=True)
class Attendance:
    """Who watches a purge, who may stop it, who has to agree to it, and who is told.

    `agree` is given the plan, its messages estimated, before anything is deleted; it raises where nobody agrees.
    """

    progress: Progress
    stop: StopSignal
    agree: Callable[[PurgePlan], None] = lambda plan: None
    reporter: Reporter = field(default_factory=Reporter)
    limits: Limits = field(default_factory=Limits)
    batch_size: int | None = None
    workers: int = 1


def run(
    target: PurgeTarget, request: PurgeRequest, attendance: Attendance, saved: Mapping[str, Any] | None = None
) -> Result:
    """Deletes what `request` asks for, or goes on with a run of the same request that stopped half-way.

    With a `saved` plan its own time counts. Raises LockedError where a purge, restore or erasure is at work,
    UnfinishedRunError where a run with other options is unfinished, StalePlanError where the plan no longer fits.
    """
    target.require_database()
    with target.database.connect() as connection:
        # Whatever keeps the plan from being made is said before chatctl's own tables are.
        target.conversations(connection)
    target.prepare()
    with RunLock(target.journal, PURGE_LOCK) as lock, attendance.reporter.watching():
        with target.database.connect() as connection:
            now_ms = saved["now_ms"] if saved else None
            planned = make_plan(target, connection, request, now_ms, to_be_shown=False)
            unfinished = target.journal.runs.unfinished(connection, KIND, target.layout.name, PURGE_LOCK)
        _check(planned, request, unfinished, saved)
        attendance.agree(planned)
        result = _Purge(target, request, planned, attendance).carry_out(unfinished, lock)
        attendance.reporter.told(result)
    return result


def _check(planned: PurgePlan, request: PurgeRequest, unfinished: Run | None, saved: Mapping[str, Any] | None) -> None:
    if unfinished is not None and unfinished.options != request.as_json():
        raise UnfinishedRunError(
            f"Run {unfinished.id} is unfinished, and it was given other options.",
            hint=f"Repeat its command to finish it, or give it up: chatctl runs cancel {unfinished.id}",
        )
    if saved is not None and saved["fingerprint"] != planned.fingerprint:
        raise StalePlanError("The plan no longer fits: the schema, the layout, the policy or the options have changed.")


class _Purge:
    def __init__(
        self,
        target: PurgeTarget,
        request: PurgeRequest,
        planned: PurgePlan,
        attendance: Attendance,
    ) -> None:
        self._target = target
        self._request = request
        self._planned = planned
        self._attendance = attendance
        self._early: StoppedEarlyError | None = None

    def carry_out(self, unfinished: Run | None, lock: RunLock) -> Result:
        run = self._begin(unfinished)
        try:
            work, totals = self._delete(run, lock)
        except BaseException as problem:
            with contextlib.suppress(ChatctlError):
                self._finish(run, RunStatus.INTERRUPTED, run.totals, str(problem))
            raise
        data = self._data(work, totals, resumed=unfinished is not None)
        status = RunStatus.PARTIAL if data["set_aside"] else RunStatus.DONE
        self._finish(run, status if totals.finished else RunStatus.INTERRUPTED, data, None)
        self._attendance.progress.note(f"[Purge] Deleted {data['deleted_chats']} conversations")
        return self._result(run, data, work.set_aside, finished=totals.finished)

    def _begin(self, unfinished: Run | None) -> Run:
        journal = self._target.journal
        with journal.database.begin() as connection:
            if unfinished is not None:
                return journal.runs.resume(connection, unfinished)
            options, layout = self._request.as_json(), self._target.layout.name
            run = journal.runs.start(connection, KIND, layout, PURGE_LOCK, options, self._planned.fingerprint)
            Ranges(journal).add(connection, run.id, self._bounds(connection))
            return run

    def _bounds(self, connection: sa.Connection) -> list[Position]:
        target, selection = self._target, self._planned.selection
        on = target.conversations(connection)
        rows: list[Position] = [{}]
        # Without an index on the clock each stretch of it would be a walk over everything.
        if on.clock_index is not None and self._request.limit is None:
            where = Eligibility(on, selection, target.database.dialect).by_own_row
            rows = shares(connection, on, where, self._workers)
        return rows if target.sessions is None else [*rows, BOUNDS]

    @property
    def _workers(self) -> int:
        # Where the engine lets one writer in at a time, more of them would only wait for each other.
        return 1 if self._target.database.dialect.in_process else self._attendance.workers

    def _delete(self, run: Run, lock: RunLock) -> tuple[Crew, RunTotals]:
        journal, progress, stop = self._target.journal, self._attendance.progress, self._attendance.stop
        crew = Crew([self._work(run) for _ in range(self._workers)])
        progress.start(self._planned.data["eligible"], "conversations")
        gate = Gate(journal, run.id, self._attendance.limits, progress, stop, utc_now)
        with journal.database.begin() as connection:
            Ranges(journal).free(connection, run.id)
        runners = [self._runner(run, work, lock, gate, alone=len(crew.works) == 1) for work in crew.works]
        started = time.monotonic()
        try:
            if len(runners) == 1:
                runners[0].run()
            else:
                with ThreadPoolExecutor(len(runners), thread_name_prefix="purge") as pool:
                    for done in [pool.submit(runner.run) for runner in runners]:
                        done.result()
        except StoppedEarlyError as early:
            self._early = early
        with self._target.database.connect() as connection:
            rows, batches, still_open, counts = Ranges(journal).totals(connection, run.id)
        finished = self._early is None and still_open == 0
        return crew, RunTotals(rows, batches, time.monotonic() - started, finished, counts)

    def _runner(self, run: Run, work: BothWorks, lock: RunLock, gate: Gate, *, alone: bool) -> BatchRunner:
        journal, fixed = self._target.journal, self._attendance.batch_size
        # Whoever says what the server has to be spared lives with a slower purge.
        gentle = journal.thresholds != Thresholds()
        first, target_ms = (_FIRST_GENTLE_BATCH, _GENTLE_MS) if gentle else (_FIRST_BATCH, _TARGET_MS)
        return BatchRunner(
            journal,
            run.id,
            work,
            pace=Pace(start=first, target_ms=target_ms, largest=LARGEST_BATCH, fixed=fixed),
            progress=self._attendance.progress,
            stop=self._attendance.stop,
            guard=lock.check,
            alone=alone,
            gate=Resting(gate) if gentle else gate,
        )

    def _work(self, run: Run) -> BothWorks:
        target, selection, place = self._target, self._planned.selection, self._request.place(self._target)
        with target.database.connect() as connection:
            on = target.conversations(connection)
            numbers = [archive.number for archive in target.archives.all(connection, run.id)]
        rows = PurgeWork(on, selection, target.tools, run.id, place, self._request.limit)
        if target.sessions is None:
            return BothWorks(rows, None)
        first = max([FIRST_NUMBER, *(number + 1 for number in numbers)])
        layout = target.layout.name
        sessions = SessionWork(target.sessions, selection, target.tools, target.database, layout, run.id, place, first)
        return BothWorks(rows, sessions, self._request.limit)

    def _finish(self, run: Run, status: RunStatus, totals: Mapping[str, Any], error: str | None) -> None:
        # Accounts are people in some systems: what names them stays out of the journal.
        kept = {name: value for name, value in totals.items() if name != "by_account"}
        with self._target.database.begin() as connection:
            now = self._target.journal.runs.get(connection, run.id).status
            # Who cancelled or paused it from elsewhere has the last word.
            steered = error is not None and now in (RunStatus.CANCELLED, RunStatus.PAUSED)
            self._target.journal.runs.finish(connection, run.id, now if steered else status, kept, error)

    def _data(self, work: Crew, totals: RunTotals, *, resumed: bool) -> dict[str, Any]:
        planned, counts = self._planned.data, totals.counts
        with self._target.database.connect() as connection:
            messages = message_part(self._target.conversations(connection))
            backlog = self._backlog(connection)
        deleted = counts.get("deleted", 0) + work.sessions_deleted
        rows = work.sessions_deleted + sum(count for name, count in counts.items() if name.startswith("deleted"))
        return {
            "fingerprint": planned["fingerprint"],
            "layout": planned["layout"],
            "now": planned["now"],
            "policies": planned["policies"],
            "eligible": planned["eligible"],
            "held": planned["held"],
            "deleted_chats": deleted,
            "deleted_messages": counts.get(f"deleted_{messages}", 0) + work.sessions_messages,
            "deleted_sessions": work.sessions_deleted if work.keeps_sessions else None,
            "archived": counts.get("archived", 0),
            "by_account": dict(work.by_account),
            "set_aside": counts.get("set_aside", 0),
            "backlog": backlog,
            "rows": rows,
            "batches": totals.batches,
            "seconds": round(totals.seconds, 3),
            "resumed": resumed,
        }

    def _backlog(self, connection: sa.Connection) -> int:
        """What may go and is still there: nobody kept up with it."""
        return count_eligible(self._target, connection, self._planned.selection)

    def _result(self, run: Run, data: dict[str, Any], set_aside: Sequence[str], *, finished: bool) -> Result:
        warnings = self._planned.warnings
        if finished and data["set_aside"]:
            return Result(data, Outcome.PARTIAL, run.id, warnings, (_refused(data["set_aside"], set_aside),))
        if finished:
            return Result(data, run_id=run.id, warnings=warnings)
        if self._early is None:
            return Result(data, Outcome.INTERRUPTED, run.id, warnings)
        return Result(data, Outcome.STOPPED_EARLY, run.id, warnings, (Notice.of(self._early),))


def _refused(count: int, names: Sequence[str]) -> Notice:
    which = f", {', '.join(names[:5])} among them" if names else ""
    return Notice.of(
        DatabaseError(
            f"The database refused to delete {count:,} conversations{which}: they stay.",
            hint="A trigger, a foreign key or a lock keeps them; the next purge tries again.",
        )
    )
