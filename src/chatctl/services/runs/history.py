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
    """Rows, batches, their milliseconds and the replica's lag in equal steps of time, from the first that is known."""
    batches, lags = target.journal.tables.batches.c, target.journal.tables.lags.c
    ours, measured = of_run(batches.run_id, run.id), lags.run_id == run.id
    known = [_first_and_last(connection, batches.committed_ms, ours)]
    keeps_lag = sa.inspect(connection).has_table("chatctl_lags", schema=target.journal.schema)
    if keeps_lag:
        known.append(_first_and_last(connection, lags.measured_ms, measured))
    moments = [int(moment) for pair in known for moment in pair if moment is not None]
    if not moments:
        return {"step_seconds": None, "steps": [], "lag": []}
    first = min(moments)
    width = max(1, (max(moments) - first) // STEPS + 1)
    start = _start(batches.committed_ms, first, width)
    rows = connection.execute(
        sa.select(
            start,
            sa.func.sum(batches.row_count),
            sa.func.count(),
            sa.func.sum(batches.milliseconds),
            sa.func.max(batches.milliseconds),
        )
        .where(ours)
        .group_by(start)
        .order_by(start)
    )
    steps = [
        {
            "at_seconds": int(at) / 1000,
            "rows": int(count_of_rows),
            "batches": int(count),
            "mean_milliseconds": round(float(total) / int(count), 1),
            "longest_milliseconds": int(longest),
        }
        for at, count_of_rows, count, total, longest in rows
    ]
    lag: list[dict[str, Any]] = []
    if keeps_lag:
        start = _start(lags.measured_ms, first, width)
        longest_lags = sa.select(start, sa.func.max(lags.lag_ms)).where(measured).group_by(start).order_by(start)
        lag = [
            {"at_seconds": int(at) / 1000, "seconds": int(milliseconds) / 1000}
            for at, milliseconds in connection.execute(longest_lags)
        ]
    return {"step_seconds": width / 1000, "steps": steps, "lag": lag}


def _first_and_last(
    connection: sa.Connection, column: sa.Column[int], ours: sa.ColumnElement[bool]
) -> sa.Row[int, int]:
    return connection.execute(sa.select(sa.func.min(column), sa.func.max(column)).where(ours)).one()


def _start(column: sa.Column[int], first: int, width: int) -> sa.Label[int]:
    """When the step begins that a moment is in, in milliseconds from `first`."""
    since = column - sa.literal(first, sa.BigInteger)
    # The remainder, not a division: what that makes of whole numbers differs between engines.
    return (since - since % sa.literal(width, sa.BigInteger)).label("start")


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
