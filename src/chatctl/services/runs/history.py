"""What a page of a run shows besides its report: steps of time, the slowest batches, what its totals hold. Only reads.

The steps are summed up by the database, a few hundred however many batches there were.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import iso
from chatctl.domain.restore_points import KEY
from chatctl.services.runs.reporting import of_run
from chatctl.services.runs.target import RunsTarget
from chatctl.stores.sql.journal import Run

#: As many steps as a chart has room for.
STEPS = 240
_SLOWEST = 10


def history(target: RunsTarget, run_id: str) -> dict[str, Any]:
    """The run's history. Raises NotFoundError, CannotConnectError."""
    run = target.get(run_id)
    with target.database.connect() as connection:
        timeline = _timeline(target, connection, run)
        slowest = _slowest(target, connection, run)
    details = {key: value for key, value in run.totals.items() if isinstance(value, dict | list) and value}
    # The schema is as long as the application has columns, and the sizes have a table of their own.
    if KEY in run.totals:
        details[KEY] = {name: run.totals[KEY].get(name) for name in ("at", "backup", "revision")}
    plan = {"plan": run.plan_fingerprint, "scope": run.scope, "chatctl": run.chatctl_version}
    return {**timeline, "slowest_batches": slowest, "details": details, "plan": plan}


def _timeline(target: RunsTarget, connection: sa.Connection, run: Run) -> dict[str, Any]:
    """Rows, batches and their milliseconds in equal steps of time, from the first commit to the last."""
    table = target.journal.tables.batches
    column = table.c
    ours = of_run(column.run_id, run.id)
    first, last = connection.execute(
        sa.select(sa.func.min(column.committed_ms), sa.func.max(column.committed_ms)).where(ours)
    ).one()
    if first is None:
        return {"step_seconds": None, "steps": []}
    width = max(1, (int(last) - int(first)) // STEPS + 1)
    since = column.committed_ms - sa.literal(int(first), sa.BigInteger)
    # The remainder, not a division: what that makes of whole numbers differs between engines.
    start = (since - since % sa.literal(width, sa.BigInteger)).label("start")
    rows = connection.execute(
        sa.select(
            start,
            sa.func.sum(column.row_count),
            sa.func.count(),
            sa.func.sum(column.milliseconds),
            sa.func.max(column.milliseconds),
        )
        .where(ours)
        .group_by(start)
        .order_by(start)
    )
    steps = [
        {
            "at_seconds": int(at) / 1000,
            "rows": int(count_of_rows),
            "batches": int(batches),
            "mean_milliseconds": round(float(total) / int(batches), 1),
            "longest_milliseconds": int(longest),
        }
        for at, count_of_rows, batches, total, longest in rows
    ]
    return {"step_seconds": width / 1000, "steps": steps}


def _slowest(target: RunsTarget, connection: sa.Connection, run: Run) -> list[dict[str, Any]]:
    column = target.journal.tables.batches.c
    query = sa.select(column.run_id, column.range_number, column.row_count, column.milliseconds, column.committed_ms)
    rows = connection.execute(
        query.where(of_run(column.run_id, run.id)).order_by(column.milliseconds.desc()).limit(_SLOWEST)
    )
    return [
        {
            "phase": row.run_id.partition("/")[2] or "all",
            "range": int(row.range_number),
            "rows": int(row.row_count),
            "milliseconds": int(row.milliseconds),
            "committed": iso(int(row.committed_ms)),
        }
        for row in rows
    ]
