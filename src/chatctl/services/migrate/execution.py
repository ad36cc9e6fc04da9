"""Applies a plan: revision by revision, in the order of the plan; how one is applied is in `journaled`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from chatctl.domain.restore_points import KEY, RestorePoint
from chatctl.errors import ChatctlError, GuardError, InterruptedRunError, InTheWayError, LeaseLostError, RetryableError
from chatctl.layouts.model import Phase
from chatctl.observe.fail_points import fail_point
from chatctl.services.migrate.attendance import Attendance
from chatctl.services.migrate.journaled import JournaledRevision
from chatctl.services.migrate.planning import MigrationPlan, PlannedRevision
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.sql.dialects.gentle import send
from chatctl.stores.sql.inspection import carried_over
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.journal.flags import RollbackFlags
from chatctl.stores.sql.journal.statements import StatementLog
from chatctl.stores.sql.locks import RunLock
from chatctl.stores.sql.revisions import Revision
from chatctl.stores.sql.statements import Watch

#: How long a revision that met somebody in its way looks on before it tries again, and how often it looks.
_POLITE_SECONDS = 20
_LOOK_SECONDS = 0.25
#: A statement that waits without being tried again is taken to have somebody in its way after so long.
_NAME_SECONDS = 5


@dataclass(frozen=True)
class Applied:
    """What an execution did."""

    run_id: str
    revisions: tuple[str, ...]
    statements: int


class Execution:
    """One run of a plan on its target, under the schema lock."""

    def __init__(
        self,
        target: MigrationTarget,
        plan: MigrationPlan,
        run: Run,
        lock: RunLock,
        attendance: Attendance,
    ) -> None:
        self._target = target
        self._plan = plan
        self._run = run
        self._lock = lock
        self._progress = attendance.progress
        self._stop = attendance.stop
        # The way back has been confirmed by name, and stopping halfway on it helps nobody.
        allow_copy = attendance.gentleness.allow_copy or plan.options.direction == "down"
        self._gentleness = replace(attendance.gentleness, allow_copy=allow_copy)
        self._attendance = replace(attendance, gentleness=self._gentleness)
        self._database = target.database

    def run(self) -> Applied:
        """Applies every step; raises what stopped it, after noting in the journal how far it came."""
        done: list[str] = []
        statements = 0
        self._progress.start(sum(len(step.statements) for step in self._plan.steps), "statements")
        try:
            for step in self._plan.steps:
                if self._stop.requested:
                    raise InterruptedRunError(f"Interrupted before {step.revision.id}; what was applied stays.")
                statements += self._apply_patiently(step)
                done.append(step.revision.id)
                self._progress.advance(len(step.statements))
        except BaseException as problem:
            self._note_failure(problem, done)
            raise
        self._finish(done)
        return Applied(self._run.id, tuple(done), statements)

    def _apply_patiently(self, step: PlannedRevision) -> int:
        """Applies one revision, again and again where its locks can't be had; the number of statements it sent."""
        give_up = time.monotonic() + self._gentleness.give_up_after_seconds
        retrying = Retrying(
            retry=retry_if_exception_type(RetryableError),
            wait=wait_random_exponential(multiplier=0.5, max=8),
            sleep=lambda seconds: self._let_pass(step, seconds, give_up),
            stop=stop_after_delay(self._gentleness.give_up_after_seconds),
            before_sleep=lambda state: self._name_those_in_the_way(step),
            reraise=True,
        )
        try:
            with self._naming_in_time(step):
                return retrying(self._apply, step)
        except RetryableError as problem:
            message = (
                f"{step.revision.id} was tried for {self._gentleness.give_up_after_seconds:g} s: {problem.message}"
            )
            raise InTheWayError(message, hint=self._in_the_way(step)) from problem

    def _let_pass(self, step: PlannedRevision, seconds: float, give_up: float) -> None:
        """Sleeps, and longer while somebody is known to be in the way: each try keeps the application waiting.

        Not for ever, since not every server tells which tables a transaction has touched.
        """
        time.sleep(seconds)
        until = min(give_up, time.monotonic() + _POLITE_SECONDS)
        while time.monotonic() < until and not self._stop.requested and self._in_the_way(step):
            time.sleep(_LOOK_SECONDS)

    @contextmanager
    def _naming_in_time(self, step: PlannedRevision) -> Iterator[None]:
        """Names who is in the way of a statement that may wait as long as it likes, once, while it still waits."""
        naming = threading.Timer(_NAME_SECONDS, self._name_those_waited_for, (step,))
        naming.daemon = True
        if any(self._database.dialect.manners.is_patient(item.sql) for item in step.statements):
            naming.start()
        try:
            yield
        finally:
            naming.cancel()

    def _name_those_waited_for(self, step: PlannedRevision) -> None:
        with suppress(ChatctlError):
            if named := self._in_the_way(step):
                self._progress.note(f"{step.revision.id} may be waiting. {named}")

    def _name_those_in_the_way(self, step: PlannedRevision) -> None:
        if self._stop.requested:
            raise InterruptedRunError(f"Interrupted while waiting for {step.revision.id}'s locks.")
        named = self._in_the_way(step) or ""
        self._progress.note(f"{step.revision.id} lets others pass and tries again. {named}".rstrip())

    def _in_the_way(self, step: PlannedRevision) -> str | None:
        """A sentence that names the transactions that keep the revision from its locks; None if none is to be seen."""
        tables = [
            name
            for name in self._plan.whereabouts.tables
            if any(item.statement.names(name) for item in step.statements)
        ]
        with self._database.reading() as connection:
            found = self._database.dialect.sessions.in_the_way(connection, tables)
        if not found:
            return None
        return f"In the way: {'; '.join(str(obstacle) for obstacle in found[:3])}."

    def _apply(self, step: PlannedRevision) -> int:
        self._check_guards(step.revision)
        dialect = self._database.dialect
        with (
            self._database.translating(),
            self._database.engine.connect() as connection,
            dialect.changing_schema(connection),
        ):
            handler = JournaledRevision(self._target, self._run, step, self._lock, self._attendance)
            with Watch(self._target.watched, handler).listening() as watch:
                fail_point("revision.before")
                self._target.revisions.run(connection, step.revision, self._plan.options.direction, watch)
            handler.check_complete()
            fail_point("revision.before-commit")
            connection.commit()
            self._target.applied(connection, step.revision, self._plan.options.direction)
            connection.commit()
            with closing(connection.connection.cursor()) as cursor:
                send(cursor, dialect.manners.after())
            connection.commit()
        fail_point("revision.after-commit")
        return handler.sent

    def _check_runs_are_final(self, revision: Revision) -> None:
        """What undoing a regrouping would need goes with the columns that a contract takes away."""
        with self._database.reading() as connection:
            runs = self._target.journal.runs.list(connection, ("regroup run",), limit=1_000)
        for run in runs:
            if run.totals.get("messages_moved") and not (run.totals.get("sealed") or run.totals.get("undone")):
                raise GuardError(
                    f"{revision.id} refuses: run {run.id} (regroup) can still be undone.",
                    hint=f"chatctl regroup verify {run.id}, then chatctl regroup seal {run.id} or undo it.",
                )

    def _check_guards(self, revision: Revision) -> None:
        guards = revision.guards if self._plan.options.direction == "up" else revision.down_guards
        if self._plan.options.direction == "up" and revision.phase is Phase.CONTRACT:
            self._check_runs_are_final(revision)
        with self._database.reading() as connection:
            for guard in guards:
                found = connection.scalar(guard.query) or 0
                if found:
                    raise GuardError(f"{revision.id} refuses: {guard.message.format(count=found)}")

    def _note_failure(self, problem: BaseException, done: Sequence[str]) -> None:
        if isinstance(problem, LeaseLostError):
            # The run is another holder's now.
            return
        step = self._plan.steps[len(done)].revision.id if len(done) < len(self._plan.steps) else ""
        with self._database.begin() as connection:
            self._lock.check(connection)
            half_applied = StatementLog(self._target.journal.tables, self._run.id).has_any(connection, step)
            interrupted = (
                half_applied or not isinstance(problem, ChatctlError) or isinstance(problem, InterruptedRunError)
            )
            status = RunStatus.INTERRUPTED if interrupted else RunStatus.FAILED
            totals = {**self._run.totals, "revisions": [*self._run.totals.get("revisions", []), *done]}
            self._target.journal.runs.finish(connection, self._run.id, status, totals, str(problem))
            if not interrupted:
                self._record_schema(connection)

    def _finish(self, done: Sequence[str]) -> None:
        with self._database.begin() as connection:
            self._lock.check(connection)
            self._record_schema(connection)
            kept = {KEY: self._run.totals[KEY]} if KEY in self._run.totals else {}
            totals = {"revisions": [*self._run.totals.get("revisions", []), *done], **kept}
            if self._plan.options.direction == "up":
                RollbackFlags(self._target.journal, self._target.layout.name).set(connection, {})
            self._target.journal.runs.finish(connection, self._run.id, RunStatus.DONE, totals)

    def _record_schema(self, connection: sa.Connection) -> None:
        journal, layout = self._target.journal, self._target.name
        before = json.loads(self._run.totals["schema_before"])
        recorded = journal.recorded_schema(connection, layout) or before
        after = self._target.snapshot(connection)
        journal.record_schema(connection, layout, carried_over(recorded, before, after), self._run.id)


def start_run(target: MigrationTarget, plan: MigrationPlan, take_backup: Callable[[], str] | None = None) -> Run:
    """A new run in the journal, holding the schema as it is before the first statement, and the restore point."""
    runs, backup = target.journal.runs, take_backup() if take_backup else None
    kind = f"migrate {plan.options.direction}"
    before = json.dumps(plan.whereabouts.snapshot, sort_keys=True)
    with target.database.begin() as connection:
        run = runs.start(connection, kind, target.name, "schema", plan.options.as_json(), plan.fingerprint)
        at, schema = target.database.dialect.now(connection), plan.whereabouts.snapshot
        sizes = target.database.dialect.plain_sizes(connection, plan.whereabouts.tables)
        point = RestorePoint(at, backup, plan.whereabouts.revision, schema, sizes)
        started = {"schema_before": before, "from": plan.whereabouts.revision, KEY: point.as_json()}
        runs.note(connection, run.id, started)
        return runs.get(connection, run.id)
