"""`backup prune`: keeps what the rule keeps and what a run needs, and says so before anything goes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chatctl.domain.backups import KeepRule, begun_at
from chatctl.domain.restore_points import KEY
from chatctl.domain.result import Notice, Result
from chatctl.errors import ConfigurationError, IntegrityError
from chatctl.services.backup.reading import open_backup
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.repository import Repository
from chatctl.stores.repository.base import MANIFEST

#: An unfinished backup that is older isn't being made any more.
_UNFINISHED_FOR = timedelta(days=1)
_RUNS = 10_000


@dataclass(frozen=True)
class PrunePlan:
    """The backups that stay, with the reasons, and those that go."""

    kept: dict[str, list[str]]
    removed: list[str]
    warnings: tuple[Notice, ...]

    def as_json(self) -> dict[str, Any]:
        """The plan as the command answers it."""
        kept = [{"id": backup_id, "why": ", ".join(self.kept[backup_id])} for backup_id in sorted(self.kept)]
        return {"kept": kept, "removed": self.removed}


def plan(repository: Repository, rule: KeepRule, needed: Collection[str], now: datetime) -> PrunePlan:
    """What the rule says. A damaged backup stays, with a warning: a person must look at it."""
    complete: dict[str, datetime] = {}
    kept: dict[str, list[str]] = {}
    leftovers: list[str] = []
    warnings: list[Notice] = []
    for backup_id in repository.ids():
        begun = begun_at(backup_id)
        try:
            open_backup(repository, backup_id)
        except IntegrityError as problem:
            if repository.read_note(backup_id, MANIFEST) is not None:
                kept[backup_id] = ["damaged"]
                warnings.append(Notice.of(problem))
            elif now - begun < _UNFINISHED_FOR:
                kept[backup_id] = ["being made, perhaps"]
            else:
                leftovers.append(backup_id)
        except ConfigurationError as problem:
            kept[backup_id] = ["of a newer chatctl"]
            warnings.append(Notice.of(problem))
        else:
            complete[backup_id] = begun
    reasons = rule.kept(complete, needed)
    removed = sorted([*leftovers, *(backup_id for backup_id in complete if backup_id not in reasons)])
    return PrunePlan(kept | reasons, removed, tuple(warnings))


def prune(
    repository: Repository,
    rule: KeepRule,
    needed: Collection[str],
    agree: Callable[[PrunePlan], None],
    *,
    dry_run: bool,
) -> Result:
    """Removes what the rule doesn't keep, once `agree` hasn't raised; a dry run only says what that is."""
    planned = plan(repository, rule, needed, datetime.now(UTC))
    if not dry_run and planned.removed:
        agree(planned)
        for backup_id in planned.removed:
            repository.remove(backup_id)
    return Result({**planned.as_json(), "dry_run": dry_run}, warnings=planned.warnings)


def needed_backups(target: MigrationTarget) -> set[str]:
    """The backups that a run in the journal names, as its restore point or as its way back, until it is sealed."""
    if not target.database.exists:
        return set()
    with target.database.connect() as connection:
        if not target.journal.exists(connection):
            return set()
        runs = target.journal.runs.list(connection, limit=_RUNS)
    named: set[str] = set()
    for run in runs:
        if not (run.totals.get("sealed") or run.totals.get("rolled_back")):
            point = run.totals.get(KEY)
            holders = (run.options, run.totals, point if isinstance(point, dict) else {})
            found = (holder.get(key) for holder in holders for key in ("backup", KEY))
            named.update(each for each in found if isinstance(each, str))
    return named
