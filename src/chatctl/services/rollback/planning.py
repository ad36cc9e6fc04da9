"""Plans a rollback: every step back, with what it loses, before anything is touched. Only reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from chatctl.domain.plans import fingerprint
from chatctl.services.counters.repairing import RepairRequest, repair
from chatctl.services.migrate.applying import is_half_applied
from chatctl.services.migrate.planning import Options, unfinished_runs
from chatctl.services.migrate.reporting import plan as plan_migration
from chatctl.services.rollback import environment, steps
from chatctl.services.rollback.fallback import Fallback, find_backup
from chatctl.services.rollback.losses import kept_rows, left
from chatctl.services.rollback.steps import Loss, RollbackPlan, Step
from chatctl.services.rollback.target import RollbackTarget
from chatctl.services.rollback.walking import Walk, walk


def make_plan(target: RollbackTarget, to: str | None) -> RollbackPlan | None:
    """The way back to where the run `to` began (the last migration, if None); None where nothing is left to do.

    Raises NoWayBackError where a step can't be undone and no backup from before the run is there.
    """
    with target.migration.database.connect() as connection:
        found = walk(target, connection, to)
        if found is None:
            return None
        stuck = [*found.stuck, *_stuck_schema(target, connection, found)]
    planner = _Planner(target, found)
    if stuck:
        return planner.by_backup(find_backup(target, found, stuck), tuple(stuck))
    return planner.by_steps()


def _stuck_schema(target: RollbackTarget, connection: sa.Connection, found: Walk) -> Iterator[str]:
    """What keeps the revisions from being taken back."""
    migration = target.migration
    if found.point is None:
        return
    for run in unfinished_runs(migration, connection):
        if is_half_applied(migration, connection, run):
            yield f"run {run.id} ({run.kind}) is half applied"
    heads = migration.whereabouts(connection).heads
    wanted = found.point.revision
    if wanted is not None and wanted not in migration.revisions.before(heads):
        yield f"the database has {', '.join(heads) or 'no revision'}, which is before {wanted}"
        return
    for revision in migration.revisions.down(heads, wanted):
        for guard in revision.down_guards:
            count = connection.scalar(guard.query) or 0
            if count:
                yield f"{revision.id} refuses: {guard.message.format(count=count)}"


class _Planner:
    def __init__(self, target: RollbackTarget, found: Walk) -> None:
        self._target = target
        self._walk = found

    def by_steps(self) -> RollbackPlan:
        """Each run undone by its own service."""
        found = self._walk
        done = [
            *(self._data_step(run.id, run.kind) for run in found.runs if run in found.regroups or run in found.purges),
            *self._schema_steps(),
            *self._last_steps(),
        ]
        return self._plan(done, kept_rows(self._target, found), ())

    def by_backup(self, fallback: Fallback, stuck: tuple[str, ...]) -> RollbackPlan:
        """All of it by one restore."""
        what = f"Restore backup {fallback.id}, since {'; '.join(stuck)}. What is there now is backed up first."
        restore = Step(steps.RESTORE, fallback.id, what, tuple(fallback.losses(self._target, self._walk)))
        return self._plan([restore, *self._last_steps()], {}, stuck)

    @staticmethod
    def _data_step(run_id: str, kind: str) -> Step:
        if kind == "purge":
            return Step(steps.PURGE, run_id, f"Bring back what run {run_id} (purge) archived.")
        return Step(steps.REGROUP, run_id, f"Undo run {run_id} (regroup): its chats go, their messages stay.")

    def _schema_steps(self) -> Iterator[Step]:
        migration, point = self._target.migration, self._walk.point
        if point is None:
            return
        wanted = point.revision or "base"
        with migration.database.connect() as connection:
            heads = migration.whereabouts(connection).heads
        if point.revision in heads:
            return
        planned = plan_migration(migration, Options("down", wanted), scratching="if needed").data
        if not planned["steps"]:
            return
        loses = [Loss(each["table"], each["column"], each["rows"]) for each in planned["losses"]]
        revisions = ", ".join(step["revision"] for step in planned["steps"])
        what = f"Take back {revisions}, down to {wanted}."
        yield Step(steps.SCHEMA, wanted, what, tuple(left(self._target, self._walk, loses)))

    def _last_steps(self) -> Iterator[Step]:
        system = self._target.system
        if system.redis is not None:
            archives = [each for each in system.archives if getattr(each, "ready", True)]
            raised = repair(system.redis, system.high_water, archives, RepairRequest(dry_run=True)).data["raised"]
            what = "Raise counters to the highest number issued; none is lowered."
            yield Step(steps.COUNTERS, None, f"{what} Now {len(raised)} {'is' if len(raised) == 1 else 'are'} behind.")
        changed = environment.changes(self._target.folder)
        if changed is not None:
            what = f"Put .env.backup in the place of .env. It changes {', '.join(changed) or 'comments alone'}."
            yield Step(steps.ENVIRONMENT, environment.KEPT, what)
        flags = self._flags()
        if flags:
            yield Step(steps.FLAGS, None, f"Set {_spelled(flags)}.")
        yield Step(steps.VERIFY, None, "Compare schema, rows, runs, counters, environment and flags with the plan.")

    def _flags(self) -> dict[str, bool]:
        return dict(self._target.migration.layout.rollback.flags) if self._walk.point is not None else {}

    def _plan(self, done: list[Step], kept: dict[str, int], stuck: tuple[str, ...]) -> RollbackPlan:
        point, flags = self._walk.point, self._flags()
        content: dict[str, Any] = {
            "layout": self._target.migration.layout.model_dump(mode="json"),
            "to": self._walk.to.id,
            "runs": [run.id for run in self._walk.runs],
            "steps": [[step.step, step.of] for step in done],
        }
        revision = point.revision if point else None
        hand = (*self._by_hand(flags), *self._walk.by_hand)
        schema, mark = point.schema if point else None, fingerprint(content)
        return RollbackPlan(self._walk.as_json(), revision, tuple(done), kept, flags, hand, stuck, mark, schema)

    def _by_hand(self, flags: dict[str, bool]) -> Iterator[str]:
        if self._walk.point is None:
            return
        if flags:
            yield f"Set {_spelled(flags)} in the application's own environment too."
        yield from self._target.migration.layout.rollback.by_hand
        issued = sum(self._target.system.high_water.issued().values())
        if issued:
            yield f"{issued:,} session IDs were issued; code from before doesn't recognise their form."


def _spelled(flags: dict[str, bool]) -> str:
    return ", ".join(f"{name}={str(value).lower()}" for name, value in flags.items())
