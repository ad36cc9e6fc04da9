"""Walks the journal back: which runs stand since a run began, and what can't be undone of them one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import iso
from chatctl.domain.restore_points import RestorePoint
from chatctl.errors import NotFoundError
from chatctl.services.purge.erasing import KIND as ERASE
from chatctl.services.purge.running import KIND as PURGE
from chatctl.services.regroup.running import scheme_of
from chatctl.services.regroup.target import KIND as REGROUP
from chatctl.services.rollback.target import KIND, RollbackTarget
from chatctl.stores.sql.batches.ranges import Ranges
from chatctl.stores.sql.journal import Run
from chatctl.stores.sql.regroup import Scheme

MIGRATE_UP, MIGRATE_DOWN, RESTORE = "migrate up", "migrate down", "backup restore"
#: What a run's totals say once it has been rolled back: by which run.
ROLLED_BACK = "rolled_back"

_RUNS = 10_000


@dataclass(frozen=True)
class Walk:
    """The way from now back to where `to` began. `regroups` and `purges` are those to undo, the newest first.

    `point` is the schema's restore point, None where no migration ran since. `stuck` says what can't be undone.
    """

    to: Run
    runs: tuple[Run, ...]
    regroups: tuple[Run, ...] = ()
    purges: tuple[Run, ...] = ()
    point: RestorePoint | None = None
    stuck: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = field(default=())

    @property
    def backup(self) -> str | None:
        """The backup that was taken before `to` began, as its own restore point names it."""
        own = RestorePoint.of(self.to.totals)
        return own.backup if own else None

    def as_json(self) -> dict[str, Any]:
        """What `to` was."""
        return {"run_id": self.to.id, "command": self.to.kind, "started": iso(self.to.started_ms)}


def walk(target: RollbackTarget, connection: sa.Connection, to: str | None) -> Walk | None:
    """The way back to where `to` began, or the last migration that stands; None where nothing stands any more.

    Raises NotFoundError where there is no such run, or where it recorded no restore point.
    """
    if not target.journal.exists(connection):
        raise NotFoundError("chatctl has changed nothing here.", hint="chatctl backup list shows backups.")
    names = {target.migration.name, target.layout_name}
    runs = [run for run in target.journal.runs.list(connection, limit=_RUNS) if run.layout in names]
    if any(run.kind == KIND and not run.status.unfinished and run.options["to"] == to for run in runs):
        return None
    chosen = target.journal.runs.get(connection, to) if to else _last_migration(runs)
    if chosen is None or ROLLED_BACK in chosen.totals:
        return None
    since = [run for run in runs if (run.started_ms, run.id) >= (chosen.started_ms, chosen.id)]
    standing = tuple(run for run in since if ROLLED_BACK not in run.totals)
    return _Walker(target, connection, chosen, standing).walk()


def _last_migration(runs: list[Run]) -> Run | None:
    """The newest migration since the last rollback: repeating a rollback never goes one further back."""
    for run in runs:
        if run.kind == KIND and not run.status.unfinished:
            return None
        if run.kind == MIGRATE_UP and ROLLED_BACK not in run.totals and (_applied(run) or run.status.unfinished):
            return run
    return None


def _applied(run: Run) -> bool:
    return bool(run.totals.get("revisions"))


class _Walker:
    def __init__(self, target: RollbackTarget, connection: sa.Connection, to: Run, runs: tuple[Run, ...]) -> None:
        self._target = target
        self._connection = connection
        self._to = to
        self._runs = runs

    def walk(self) -> Walk:
        point = self._schema_point()
        judged = {run.id: self._judge(run, point) for run in self._runs}
        return Walk(
            self._to,
            self._runs,
            tuple(run for run in self._runs if run.kind == REGROUP and judged[run.id] == ""),
            tuple(run for run in self._runs if run.kind == PURGE and judged[run.id] == ""),
            point,
            tuple(text for text in judged.values() if text),
            tuple(self._by_hand()),
        )

    def _schema_point(self) -> RestorePoint | None:
        """Of the first of the migrations that are walked over."""
        migrations = [run for run in self._runs if run.kind in (MIGRATE_UP, MIGRATE_DOWN)]
        changed = [run for run in migrations if _applied(run) or run.status.unfinished]
        if not changed:
            return None
        point = RestorePoint.of(changed[-1].totals)
        if point is None:
            raise NotFoundError(
                f"Run {changed[-1].id} recorded no restore point: an older chatctl began it.",
                hint="chatctl migrate down takes a schema back; chatctl backup restore a backup.",
            )
        return point

    def _judge(self, run: Run, point: RestorePoint | None) -> str | None:
        """ "" where the run is to be undone, None where there is nothing to undo, else what keeps it from being."""
        if run.kind == REGROUP:
            return self._judge_regroup(run, point)
        if run.kind == PURGE:
            return self._judge_purge(run)
        if run.kind == RESTORE:
            return f"run {run.id} restored a backup over what was there"
        return None

    def _judge_regroup(self, run: Run, point: RestorePoint | None) -> str | None:
        if run.totals.get("undone"):
            return None
        scheme = scheme_of(self._target.regroup, run)
        work = self._target.regroup.work_tables(run, scheme)
        if not run.totals.get("sealed") and work.exist(self._connection):
            return ""
        moved = run.totals.get("messages_moved") or run.totals.get("chats_created")
        if not moved or (point is not None and self._goes_with_schema(scheme, point)):
            return None
        return f"run {run.id} (regroup) is sealed"

    def _goes_with_schema(self, scheme: Scheme, point: RestorePoint) -> bool:
        """Whether all that the run made stands in tables and columns that the way back takes away."""
        before = point.schema or {}
        made = [f"{scheme.messages.name}.{scheme.messages.c[key].name}" for key in (scheme.link_key, *scheme.filled)]
        made += [scheme.chats.name]
        return not any(path in before for path in made)

    def _judge_purge(self, run: Run) -> str | None:
        counts = Ranges(self._target.journal).totals(self._connection, run.id)[3]
        deleted = max(run.totals.get("deleted_chats", 0), counts.get("deleted", 0))
        if not deleted:
            return None
        archives = self._target.purge.archives.all(self._connection, run.id)
        missing = deleted - sum(archive.chats for archive in archives)
        return f"{missing:,} conversations of run {run.id} (purge) were not archived" if missing > 0 else ""

    def _by_hand(self) -> Iterator[str]:
        for run in self._runs:
            if run.kind == ERASE:
                yield f"Run {run.id} erased a user, and stays: after a restore of a backup, erase that user again."
