"""Takes the batches of old runs out of the journal. The runs themselves stay: they are the history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from chatctl.domain.result import Result
from chatctl.errors import CannotConnectError
from chatctl.services.runs.reporting import of_run
from chatctl.services.runs.target import RunsTarget
from chatctl.stores.sql.journal import RunStatus
from chatctl.stores.sql.journal.runs import now_ms

#: Runs that nothing goes on with: neither a repeated command nor `--retry-failed`.
_OVER = (RunStatus.DONE, RunStatus.CANCELLED, RunStatus.FAILED)


def prune(target: RunsTarget, keep: timedelta, *, dry_run: bool = False) -> Result:
    """Deletes the batches and ranges of runs that ended longer than `keep` ago, one run a transaction.

    What undoing a run needs isn't among them: that goes when the run is sealed.
    """
    if not target.database.exists:
        raise CannotConnectError(f"{target.database.where}: there is no such file.", hint="Check the path.")
    found = _old(target, now_ms() - int(keep.total_seconds() * 1000))
    deleted = 0
    if found and not dry_run:
        # An older chatctl's journal may lack a table.
        target.journal.ensure()
        deleted = sum(_delete(target, run["run_id"]) for run in found)
    data = {"runs": found, "batches_deleted": deleted, "dry_run": dry_run}
    return Result(data)


def _old(target: RunsTarget, before_ms: int) -> list[dict[str, Any]]:
    """The runs that have batches to delete, the oldest first."""
    runs, batches = target.journal.tables.runs, target.journal.tables.batches
    with target.database.connect() as connection:
        if not target.journal.exists(connection):
            return []
        ended = connection.execute(
            sa.select(runs.c.id, runs.c.kind)
            .where(runs.c.status.in_([status.value for status in _OVER]), runs.c.finished_ms < before_ms)
            .order_by(runs.c.started_ms, runs.c.id)
        ).all()
        counted = sa.select(sa.func.count()).select_from(batches)
        found = [
            {
                "run_id": row.id,
                "command": row.kind,
                "batches": int(connection.scalar(counted.where(of_run(batches.c.run_id, row.id))) or 0),
            }
            for row in ended
        ]
    return [run for run in found if run["batches"]]


def _delete(target: RunsTarget, run_id: str) -> int:
    tables = target.journal.tables
    with target.database.begin() as connection:
        gone = connection.execute(tables.batches.delete().where(of_run(tables.batches.c.run_id, run_id)))
        connection.execute(tables.lags.delete().where(tables.lags.c.run_id == run_id))
        connection.execute(tables.ranges.delete().where(of_run(tables.ranges.c.run_id, run_id)))
    return gone.rowcount
