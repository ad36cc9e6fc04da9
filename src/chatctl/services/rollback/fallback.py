"""Where a step can't be undone: the last backup from before, and what restoring it would lose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from chatctl.domain.backups import Manifest
from chatctl.domain.instants import from_epoch_ms
from chatctl.errors import ChatctlError, NoWayBackError
from chatctl.services.backup.reading import open_backup
from chatctl.services.rollback.losses import left
from chatctl.services.rollback.steps import Loss
from chatctl.services.rollback.target import RollbackTarget
from chatctl.services.rollback.walking import Walk
from chatctl.stores.sql.inspection import take_snapshot
from chatctl.stores.sql.journal.runs import now_ms

#: Kinds of runs that change what a backup holds: one from before them isn't the state that `to` began in.
_CHANGING = ("migrate up", "migrate down", "regroup run", "regroup undo", "purge", "purge restore", "purge erase")


@dataclass(frozen=True)
class Fallback:
    """The backup to restore."""

    manifest: Manifest

    @property
    def id(self) -> str:
        """Its ID."""
        return self.manifest.id

    def losses(self, target: RollbackTarget, found: Walk) -> Iterator[Loss]:
        """The rows that are there beyond those of the backup, the regroupings' own left out; keys of Redis too."""
        assert self.manifest.sql is not None
        held = self.manifest.sql.rows
        with target.migration.database.connect() as connection:
            names = [path for path, text in take_snapshot(connection).items() if text == "table"]
            now = [Loss(name, None, _count(connection, name)) for name in names]
        for loss in left(target, found, now):
            if loss.rows > held.get(loss.table, 0):
                yield Loss(loss.table, None, loss.rows - held.get(loss.table, 0))
        if target.system.redis is not None and self.manifest.redis is not None:
            keys = sum(target.system.redis.snapshot.counted().values()) - self.manifest.redis.keys
            if keys > 0:
                yield Loss("Redis", None, keys)


def find_backup(target: RollbackTarget, found: Walk, stuck: Sequence[str]) -> Fallback:
    """The backup that was taken before `to` began, by its restore point, or else the newest that still shows that
    state: whole, of this context, and with no run of chatctl's between. Raises NoWayBackError where there is none."""
    if found.backup is not None:
        return Fallback(open_backup(target.repository, found.backup).manifest)
    began = from_epoch_ms(found.to.started_ms)
    changed = _last_change(target, found)
    # A run that began under a clock that had been set back was noted as later: no backup's time compares with that.
    in_doubt = found.to.started_ms > (found.to.finished_ms or now_ms())
    for backup_id in () if in_doubt else reversed(target.repository.ids()):
        manifest = _fitting(target, backup_id)
        if manifest is None or datetime.fromisoformat(manifest.finished) > began:
            continue
        if changed is None or datetime.fromisoformat(manifest.started) > changed:
            return Fallback(manifest)
        break
    raise NoWayBackError(
        f"{'; '.join(stuck)}; and no backup shows how it was when run {found.to.id} began.",
        hint="chatctl rollback plan --to RUN with a later run, or chatctl backup restore with an older backup.",
    )


def _fitting(target: RollbackTarget, backup_id: str) -> Manifest | None:
    try:
        manifest = open_backup(target.repository, backup_id).manifest
    except ChatctlError:
        return None
    whole = manifest.sql is not None and manifest.sql.complete and not manifest.sql.portable
    same = manifest.context == target.context and manifest.layout == target.layout_name
    return manifest if whole and same else None


def _last_change(target: RollbackTarget, found: Walk) -> datetime | None:
    """When the run before `to` that changed anything ended."""
    with target.migration.database.connect() as connection:
        runs = target.journal.runs.list(connection, _CHANGING, limit=10_000)
    earlier = [run for run in runs if (run.started_ms, run.id) < (found.to.started_ms, found.to.id)]
    return from_epoch_ms(max(run.finished_ms or run.started_ms for run in earlier)) if earlier else None


def _count(connection: sa.Connection, name: str) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) or 0)
