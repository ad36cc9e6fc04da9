"""How each step of a rollback is done: by the service that the step is named after. All of them may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Outcome, Result
from chatctl.errors import InterruptedRunError
from chatctl.observe.fail_points import fail_point
from chatctl.services.backup import restoring as restores
from chatctl.services.backup.parts import Work
from chatctl.services.counters.evidence import gather
from chatctl.services.counters.repairing import RepairRequest, repair
from chatctl.services.migrate import applying
from chatctl.services.migrate.planning import Options
from chatctl.services.migrate.reporting import plan as plan_migration
from chatctl.services.purge import restoring as purges
from chatctl.services.regroup import undoing
from chatctl.services.regroup.driving import Crew
from chatctl.services.regroup.running import scheme_of
from chatctl.services.rollback import environment, steps
from chatctl.services.rollback.steps import Loss, RollbackPlan, Step
from chatctl.services.rollback.target import RollbackTarget
from chatctl.services.rollback.verifying import fingerprints
from chatctl.stores.sql.journal.flags import RollbackFlags
from chatctl.stores.sql.regroup.owners import MadeOwners
from chatctl.stores.sql.regroup.scheme import rule_of

Totals = dict[str, Any]


@dataclass(frozen=True)
class Attendance:
    """Who watches, who may stop it, and who has to agree: `agree` is shown the plan and raises where nobody does."""

    progress: Progress
    stop: StopSignal
    agree: Callable[[RollbackPlan], None] = lambda plan: None


@dataclass(frozen=True)
class Keeping:
    """Where a run's totals are kept: `note` makes them durable in the journal.

    `carry` tells what has to outlive the journal while a backup is restored, and `restored` puts it back.
    """

    note: Callable[[Totals], None]
    carry: Callable[[Totals], Mapping[str, Any]]
    restored: Callable[[Totals], None]


class Performer:
    """Does one step after the other. `totals` is what the run says of itself so far."""

    def __init__(
        self,
        target: RollbackTarget,
        plan: RollbackPlan,
        totals: Mapping[str, Any],
        attendance: Attendance,
        keeping: Keeping,
    ) -> None:
        self._target = target
        self._plan = plan
        self._progress = attendance.progress
        self._stop = attendance.stop
        self._keeping = keeping
        self._owners = MadeOwners(str(plan.to["run_id"]), target.journal.schema)
        self.totals: Totals = dict(totals)

    def perform(self, step: Step) -> None:
        """Does `step`, or what is left of it."""
        if step.step != steps.RESTORE:
            # A restore looks for itself, and its database may be half there.
            self._remember_issued()
        work: dict[str, Callable[[Step], None]] = {
            steps.PURGE: self._restore_purged,
            steps.REGROUP: self._undo_regroup,
            steps.SCHEMA: self._migrate_down,
            steps.RESTORE: self._restore_backup,
            steps.COUNTERS: self._raise_counters,
            steps.ENVIRONMENT: lambda each: environment.bring_back(self._target.folder),
            steps.FLAGS: self._set_flags,
        }
        work[step.step](step)
        fail_point("rollback.step_performed")

    def done(self, number: int) -> None:
        """Notes that the step of that number is done."""
        self.totals["done"] = {**self.totals["done"], str(number): True}
        self._keeping.note(self.totals)

    def _remember_issued(self) -> None:
        """The numbers that are issued, before a table that bears witness to them goes."""
        system = self._target.system
        if system.redis is None or self.totals.get("issued_known"):
            return
        standings = gather(system.redis, system.high_water, self._archives()).standings
        system.high_water.prepare()
        system.high_water.observe({each.scope.name: max(each.highest, each.reading.number or 0) for each in standings})
        self.totals["issued_known"] = True
        self._keeping.note(self.totals)

    def _archives(self) -> list[Any]:
        return [each for each in self._target.system.archives if getattr(each, "ready", True)]

    def _restore_purged(self, step: Step) -> None:
        request = purges.RestoreRequest.of(step.of)
        result = purges.restore(self._target.purge, request, self._progress, self._stop)
        _require_end(result)
        conflicts = self.totals.get("conflicts", 0) + len(result.data["conflicts"])
        self.totals["conflicts"] = conflicts

    def _undo_regroup(self, step: Step) -> None:
        assert step.of is not None
        with self._target.journal.database.connect() as connection:
            run = self._target.journal.runs.get(connection, step.of)
        if not run.totals.get("undone"):
            if self._chats_go:
                work = self._target.regroup.work_tables(run, scheme_of(self._target.regroup, run))
                with self._target.journal.database.begin() as connection:
                    self._owners.remember(connection, work)
            _require_end(undoing.undo(self._target.regroup, step.of, Crew(self._progress, self._stop)))

    def _migrate_down(self, step: Step) -> None:
        migration, options = self._target.migration, Options("down", step.of)
        if "dropped" not in self.totals:
            planned = plan_migration(migration, options, scratching="if needed").data
            losses = [Loss(each["table"], each["column"], each["rows"]) for each in planned["losses"] if each["rows"]]
            self.totals["dropped"] = [asdict(loss) for loss in losses]
            self.totals["fingerprints"] = fingerprints(self._target, self._plan)
            self._keeping.note(self.totals)
        applying.apply(migration, options, applying.Attendance(self._progress, self._stop))
        if "fingerprints_after" not in self.totals:
            self.totals["fingerprints_after"] = fingerprints(self._target, self._plan)
            self._keeping.note(self.totals)
        self._take_owners_away()

    def _take_owners_away(self) -> None:
        """Users and mentors that a run made for its chats: with the chats gone they are nobody's."""
        if not self._chats_go:
            return
        undone = self._plan.find_all(steps.REGROUP)[0]
        with self._target.journal.database.begin() as connection:
            run = self._target.journal.runs.get(connection, str(undone.of))
            self._owners.take_away(connection, scheme_of(self._target.regroup, run))

    @property
    def _chats_go(self) -> bool:
        """Whether chats were made by a run and go with the schema, so that their owners may have to go too."""
        layout = self._target.migration.layout
        if not self._plan.find_all(steps.REGROUP) or self._plan.find(steps.SCHEMA) is None:
            return False
        return layout.entity(rule_of(layout).into).table not in (self._plan.schema or {})

    def _restore_backup(self, step: Step) -> None:
        assert step.of is not None
        request = restores.RestoreRequest(
            step.of, note=self._keeping.carry(self.totals), finishing=lambda: self._keeping.restored(self.totals)
        )
        work = Work(self._target.repository, self._progress)
        result = restores.restore(self._target.system, work, request, lambda planned: None)
        self.totals["safety_backup"] = result.data["safety_backup"]

    def _raise_counters(self, step: Step) -> None:
        system = self._target.system
        if system.redis is not None:
            repaired = repair(system.redis, system.high_water, self._archives(), RepairRequest())
            self.totals["raised"] = len(repaired.data["raised"])

    def _set_flags(self, step: Step) -> None:
        with self._target.journal.database.begin() as connection:
            RollbackFlags(self._target.journal, self._target.layout_name).set(connection, self._plan.flags)


def _require_end(result: Result) -> None:
    if result.outcome in (Outcome.INTERRUPTED, Outcome.STOPPED_EARLY):
        raise InterruptedRunError("Interrupted; the same command goes on.")
