"""`migrate up` and `migrate down`: plan under the lock, go on with what is unfinished, apply, record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from chatctl.domain.result import Notice, Result
from chatctl.errors import LockedError, RetryableError, StalePlanError, UnfinishedRunError
from chatctl.services.migrate.adopting import record_adoption
from chatctl.services.migrate.attendance import Attendance
from chatctl.services.migrate.execution import Execution, start_run
from chatctl.services.migrate.planning import MigrationPlan, Options, read_plan, resumable, unfinished_runs
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.sql.dialects.gentle import Gentleness
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.journal.statements import StatementLog
from chatctl.stores.sql.locks import RunLock

__all__ = ["Attendance", "Gentleness", "apply"]

#: The lock under which a schema changes.
SCHEMA_LOCK = "schema"


def apply(
    target: MigrationTarget, options: Options, attendance: Attendance, saved_plan: Mapping[str, Any] | None = None
) -> Result:
    """Applies `options`, or exactly `saved_plan`, whose options they then must be.

    Raises StalePlanError where the saved plan no longer fits, LockedError where another run holds the schema,
    UnfinishedRunError where another migration is half applied.
    """
    try:
        with target.database.reading() as connection:
            is_first = not target.journal.exists(connection)
        if is_first and not attendance.has_seen_plan:
            # Whatever keeps the plan from being made is said before the journal's tables are made.
            read_plan(target, options, "if needed")
        target.journal.ensure()
    except RetryableError as problem:
        raise LockedError(f"Another run keeps the database busy: {problem.message}") from problem
    with RunLock(target.journal, SCHEMA_LOCK) as lock:
        with target.database.reading() as connection:
            unfinished = unfinished_runs(target, connection)
        plan = read_plan(target, options, "if needed")
        resumed = resumable(unfinished, options)
        if saved_plan is not None:
            _check_fresh(plan, saved_plan, resumed)
        warnings = [_given_up(target, run) for run in unfinished if run is not resumed]
        if not plan.steps and resumed is None:
            return Result(_summary(plan, ()), warnings=tuple(warnings))
        if not plan.whereabouts.adopted and plan.whereabouts.heads:
            record_adoption(target, plan.whereabouts)
        run = _resume(target, resumed) if resumed else start_run(target, plan, attendance.take_backup)
        applied = Execution(target, plan, run, lock, attendance).run()
    data = {**_summary(plan, applied.revisions), "statements": applied.statements, "resumed": resumed is not None}
    return Result(data, run_id=run.id, warnings=tuple(warnings))


def _given_up(target: MigrationTarget, run: Run) -> Notice:
    """Closes an unfinished run that another migration takes the place of, unless it left a revision half applied."""
    with target.database.begin() as connection:
        if is_half_applied(target, connection, run):
            raise UnfinishedRunError(
                f"Run {run.id} ({run.kind}) is half applied, and this is another migration.",
                hint=f"Finish it first: chatctl {run.kind}{_spelled(run.options)}",
            )
        target.journal.runs.finish(connection, run.id, RunStatus.CANCELLED, run.totals, "Another migration took over.")
    return Notice("run_cancelled", f"The unfinished run {run.id} left nothing half applied and was closed.")


def is_half_applied(target: MigrationTarget, connection: sa.Connection, run: Run) -> bool:
    """Whether the unfinished `run` has left a revision half applied."""
    applied = target.revisions.before(target.revisions.heads(connection))
    going_down = run.options["direction"] == "down"
    pending = [revision for revision in target.revisions.chain if (revision.id in applied) == going_down]
    log = StatementLog(target.journal.tables, run.id)
    return any(log.has_any(connection, revision.id) for revision in pending)


def _spelled(options: Mapping[str, Any]) -> str:
    target = f" {options['target']}" if options["target"] else ""
    phase = f" --phase {options['phase']}" if options["phase"] != "expand" else ""
    return target + phase


def _check_fresh(plan: MigrationPlan, saved: Mapping[str, Any], resumed: Run | None) -> None:
    if saved["fingerprint"] in (plan.fingerprint, resumed.plan_fingerprint if resumed else None):
        return
    was = [(step["revision"], [item["sql"] for item in step["statements"]]) for step in saved["steps"]]
    now = [(step.revision.id, [item.sql for item in step.statements]) for step in plan.steps]
    what = "the statements differ" if was != now else "the schema, the layout or the revisions have changed"
    raise StalePlanError(f"The plan no longer fits the database: {what}.")


def _resume(target: MigrationTarget, run: Run) -> Run:
    with target.database.begin() as connection:
        return target.journal.runs.resume(connection, run)


def _summary(plan: MigrationPlan, applied: tuple[str, ...]) -> dict[str, Any]:
    return {
        "layout": plan.layout,
        "direction": plan.options.direction,
        "fingerprint": plan.fingerprint,
        "from": plan.whereabouts.revision,
        "applied": list(applied),
        "statements": 0,
        "resumed": False,
    }
