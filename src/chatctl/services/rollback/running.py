"""`rollback run`: the plan's steps one after the other, each journaled once it is done, and compared at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chatctl.domain.result import Outcome, Result
from chatctl.errors import ChatctlError, InterruptedRunError, NotFoundError, StalePlanError, UnfinishedRunError
from chatctl.observe.fail_points import fail_point
from chatctl.services.rollback import steps
from chatctl.services.rollback.performing import Attendance, Keeping, Performer
from chatctl.services.rollback.planning import make_plan
from chatctl.services.rollback.steps import RollbackPlan
from chatctl.services.rollback.target import KIND, LOCK, RollbackTarget
from chatctl.services.rollback.verifying import verify
from chatctl.services.rollback.walking import ROLLED_BACK
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.journal.runs import Runs
from chatctl.stores.sql.locks import RunLock
from chatctl.stores.sql.restore_marker import RestoreMarker

_RUNS = 10_000


def run(
    target: RollbackTarget, to: str | None, attendance: Attendance, saved: Mapping[str, Any] | None = None
) -> Result:
    """Goes back to where the run `to` began, or goes on with a rollback that stopped half-way.

    Raises what planning raises, StalePlanError where the saved plan no longer fits, LockedError where another
    rollback is at work, and what stops a step: the same command then goes on with it.
    """
    attendance = _with_restore_finished(target, attendance)
    with target.journal.database.connect() as connection:
        if not target.journal.exists(connection):
            raise NotFoundError("chatctl has changed nothing here.", hint="chatctl backup list shows backups.")
    target.journal.ensure()
    with RunLock(target.journal, LOCK):
        with target.journal.database.connect() as connection:
            unfinished = target.journal.runs.unfinished(connection, KIND, target.layout_name, LOCK)
        if unfinished is not None:
            plan = _resumed_plan(unfinished, to)
        else:
            made = make_plan(target, to)
            if made is None:
                return Result(nothing())
            plan = made
        if saved is not None and saved["fingerprint"] != plan.fingerprint:
            raise StalePlanError("The plan no longer fits: other runs, another schema or layout, or another way back.")
        attendance.agree(plan)
        return _Rollback(target, plan, attendance).carry_out(unfinished)


def nothing() -> dict[str, Any]:
    """What is answered where nothing stands that could be rolled back."""
    empty = RollbackPlan({}, None, (), {}, {}, (), (), "").as_json()
    return {**empty, "to": None, "dropped": [], "checks": [], "ok": True, "resumed": False}


def _resumed_plan(unfinished: Run, to: str | None) -> RollbackPlan:
    if to not in (None, unfinished.options["to"]):
        raise UnfinishedRunError(
            f"Run {unfinished.id} is an unfinished rollback to where run {unfinished.options['to']} began.",
            hint=f"Finish it: chatctl rollback run --to {unfinished.options['to']}",
        )
    return RollbackPlan.from_json(unfinished.totals["plan"])


def _with_restore_finished(target: RollbackTarget, attendance: Attendance) -> Attendance:
    """Goes on with a rollback whose restore was killed: its run stands in the mark, since its journal may be gone."""
    state = RestoreMarker(target.migration.database).read()
    if state is None:
        return attendance
    if not state["note"]:
        raise UnfinishedRunError(
            f"A restore of backup {state['backup']} is unfinished.", hint="Repeat its command first."
        )
    run = Run(**{**state["note"]["run"], "status": RunStatus.INTERRUPTED})
    plan = RollbackPlan.from_json(run.totals["plan"])
    restore = plan.find(steps.RESTORE)
    assert restore is not None
    attendance.agree(plan)
    _performer(target, plan, run, attendance).perform(restore)
    return replace(attendance, agree=lambda plan: None)


def _performer(target: RollbackTarget, plan: RollbackPlan, run: Run, attendance: Attendance) -> Performer:
    """What does the steps of `run`, and keeps word of it wherever it can be kept."""
    database, runs = target.journal.database, target.journal.runs

    def note(totals: Mapping[str, Any]) -> None:
        with database.begin() as connection:
            runs.note(connection, run.id, totals)

    def carry(totals: Mapping[str, Any]) -> dict[str, Any]:
        return {"run": {**run.__dict__, "totals": totals, "status": RunStatus.INTERRUPTED.value}}

    def restored(totals: Mapping[str, Any]) -> None:
        target.journal.ensure()
        kept = replace(run, status=RunStatus.INTERRUPTED, totals={**totals, "done": {"0": True}})
        with database.begin() as connection:
            runs.carry_over(connection, kept)

    return Performer(target, plan, run.totals, attendance, Keeping(note, carry, restored))


class _Rollback:
    def __init__(self, target: RollbackTarget, plan: RollbackPlan, attendance: Attendance) -> None:
        self._target = target
        self._plan = plan
        self._attendance = attendance
        self._database = target.journal.database

    @property
    def _runs(self) -> Runs:
        return self._target.journal.runs

    def carry_out(self, unfinished: Run | None) -> Result:
        run = self._begin(unfinished)
        performer = _performer(self._target, self._plan, run, self._attendance)
        try:
            for number, step in enumerate(self._plan.steps):
                if step.step == steps.VERIFY or str(number) in performer.totals["done"]:
                    continue
                if self._attendance.stop.requested:
                    raise InterruptedRunError(f"Interrupted before '{step.step}'; what is done stays done.")
                self._attendance.progress.note(step.what)
                performer.perform(step)
                performer.done(number)
                if self._database.dialect.in_process:
                    # What its connections have kept in memory would be carried along by every later step.
                    self._database.close()
                fail_point("rollback.step_done")
            checks = verify(self._target, self._plan, performer.totals)
        except BaseException as problem:
            with contextlib.suppress(ChatctlError):
                self._finish(run, RunStatus.INTERRUPTED, performer.totals, str(problem))
            raise
        return self._end(run, performer, checks, resumed=unfinished is not None)

    def _begin(self, unfinished: Run | None) -> Run:
        with self._database.begin() as connection:
            if unfinished is not None:
                return self._runs.resume(connection, unfinished)
            options = {"to": self._plan.to["run_id"]}
            run = self._runs.start(connection, KIND, self._target.layout_name, LOCK, options, self._plan.fingerprint)
            self._runs.note(connection, run.id, {"plan": self._plan.as_kept(), "done": {}})
            return self._runs.get(connection, run.id)

    def _end(self, run: Run, performer: Performer, checks: list[dict[str, Any]], *, resumed: bool) -> Result:
        ok = all(check["ok"] for check in checks)
        totals = {**performer.totals, "checks": checks}
        with self._database.begin() as connection:
            for walked in self._walked(connection, run):
                self._runs.note(connection, walked.id, {**walked.totals, ROLLED_BACK: run.id})
            self._runs.finish(connection, run.id, RunStatus.DONE if ok else RunStatus.PARTIAL, totals)
        fail_point("rollback.finished")
        data = {
            **self._plan.as_json(),
            "dropped": totals.get("dropped", []),
            "safety_backup": totals.get("safety_backup"),
            "checks": checks,
            "ok": ok,
            "resumed": resumed,
        }
        return Result(data, Outcome.DONE if ok else Outcome.FINDINGS, run.id)

    def _walked(self, connection: Any, run: Run) -> list[Run]:
        """The runs that are no more, the rollback itself left out; those of a restored journal have gone already."""
        names = {self._target.migration.name, self._target.layout_name}
        listed = self._runs.list(connection, limit=_RUNS)
        first = next((each for each in listed if each.id == self._plan.to["run_id"]), None)
        if first is None:
            return []
        since = (first.started_ms, first.id)
        return [
            each
            for each in listed
            if since <= (each.started_ms, each.id) and each.layout in names and each.id != run.id
            and each.kind != KIND and ROLLED_BACK not in each.totals
        ]  # fmt: skip

    def _finish(self, run: Run, status: RunStatus, totals: Mapping[str, Any], error: str | None) -> None:
        with self._database.begin() as connection:
            self._runs.finish(connection, run.id, status, totals, error)
