"""Holds runs up, lets them go on, ends them, and frees the lock of one that is gone.

A run that is at work reads its status before each batch, so a change takes effect within one. With `dry_run` everything
is asked as it would be, and nothing is changed.
"""

from __future__ import annotations

import sqlalchemy as sa

from chatctl.domain.result import Result
from chatctl.errors import LockedError, NotFoundError, UsageError
from chatctl.services.runs.target import RunsTarget
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.locks import RunLock

#: What `pause` and `cancel` can reach: kinds whose work asks before each batch whether it may go on.
_STEERABLE = ("regroup run", "regroup undo")


def pause(target: RunsTarget, run_id: str, *, dry_run: bool = False) -> Result:
    """Holds an unfinished run up after the batch in hand."""
    allowed = (RunStatus.RUNNING, RunStatus.INTERRUPTED)
    return _set(target, run_id, RunStatus.PAUSED, allowed, dry_run=dry_run)


def resume(target: RunsTarget, run_id: str, *, dry_run: bool = False) -> Result:
    """Lets a paused run go on."""
    return _set(target, run_id, RunStatus.RUNNING, (RunStatus.PAUSED,), dry_run=dry_run)


def cancel(target: RunsTarget, run_id: str, *, dry_run: bool = False) -> Result:
    """Ends an unfinished run after the batch in hand, for good; what it did stays."""
    allowed = (RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.INTERRUPTED)
    return _set(target, run_id, RunStatus.CANCELLED, allowed, dry_run=dry_run)


def unlock(target: RunsTarget, name: str, *, dry_run: bool = False) -> Result:
    """Frees the lock `name` where its holder is gone; with `dry_run` says what was found, and tries nothing.

    Raises NotFoundError where there is no such lock, LockedError where its holder lives.
    """
    locks = target.journal.tables.locks
    with target.database.connect() as connection:
        target.require(connection)
        row = connection.execute(sa.select(locks).where(locks.c.name == name)).one_or_none()
        known = list(connection.scalars(sa.select(locks.c.name).order_by(locks.c.name)))
    if row is None:
        raise NotFoundError(f"No lock is called '{name}'.", hint=f"There are: {', '.join(known) or 'none'}.")
    # Taking it is the one sure proof that nobody holds it, and giving it back frees it.
    if not dry_run:
        with RunLock(target.journal, name):
            pass
    return Result({"lock": name, "freed": row.lease_until_ms > 0, "dry_run": dry_run})


def _set(
    target: RunsTarget, run_id: str, status: RunStatus, allowed: tuple[RunStatus, ...], *, dry_run: bool
) -> Result:
    run = target.get(run_id)
    if run.kind not in _STEERABLE:
        raise UsageError(f"Run {run_id} is a '{run.kind}', which can't be held up.", hint="Ctrl-C stops it.")
    if run.status is status:
        return _answer(run, status, dry_run=dry_run)
    if run.status not in allowed:
        raise LockedError(f"Run {run_id} is {run.status.value}, so it can't become {status.value}.")
    if dry_run:
        return _answer(run, status, dry_run=dry_run)
    runs = target.journal.tables.runs
    with target.database.begin() as connection:
        moved = connection.execute(
            runs.update().where(runs.c.id == run_id, runs.c.status == run.status.value).values(status=status.value)
        )
    if moved.rowcount != 1:
        raise LockedError(f"Run {run_id} has just changed.", hint="Look at it with chatctl runs show, and try again.")
    return _answer(run, status, dry_run=dry_run)


def _answer(run: Run, status: RunStatus, *, dry_run: bool) -> Result:
    data = {"run_id": run.id, "status": status.value, "was": run.status.value, "dry_run": dry_run}
    return Result(data, run_id=run.id)
