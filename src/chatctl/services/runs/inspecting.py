"""Shows runs, newest first, and one with its phases and batches."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import iso
from chatctl.domain.result import Result
from chatctl.errors import CannotConnectError
from chatctl.services.runs.target import RunsTarget
from chatctl.stores.sql.journal import Run


def listing(target: RunsTarget, limit: int) -> Result:
    """The newest runs; none where chatctl has never done anything."""
    if not target.database.exists:
        raise CannotConnectError(f"{target.database.where}: there is no such file.", hint="Check the path.")
    with target.database.connect() as connection:
        runs = target.journal.runs.list(connection, (), limit) if target.journal.exists(connection) else []
    return Result({"runs": [brief(run) for run in runs]})


def show(target: RunsTarget, run_id: str) -> Result:
    """One run: options, totals, and how far each of its phases is."""
    run = target.get(run_id)
    with target.database.connect() as connection:
        phases = _phases(target, connection, run)
    data = {
        **brief(run),
        "layout": run.layout,
        "scope": run.scope,
        "options": run.options,
        "totals": {key: value for key, value in run.totals.items() if not isinstance(value, dict | list)},
        "plan_fingerprint": run.plan_fingerprint,
        "chatctl_version": run.chatctl_version,
        "phases": phases,
    }
    return Result(data, run_id=run.id)


def brief(run: Run) -> dict[str, Any]:
    """What a list says of a run."""
    seconds = (run.finished_ms - run.started_ms) / 1000 if run.finished_ms else None
    return {
        "run_id": run.id,
        "command": run.kind,
        "status": run.status.value,
        "by": run.started_by,
        "host": run.host,
        "started": iso(run.started_ms),
        "finished": iso(run.finished_ms),
        "seconds": seconds,
        "error": run.error,
    }


def _phases(target: RunsTarget, connection: sa.Connection, run: Run) -> list[dict[str, Any]]:
    ranges = target.journal.tables.ranges
    column = ranges.c
    rows = connection.execute(
        sa.select(
            column.run_id,
            sa.func.count(),
            sa.func.sum(sa.case((column.state == "done", 1), else_=0)),
            sa.func.sum(column.rows_done),
            sa.func.sum(column.batches),
        )
        .where(sa.or_(column.run_id == run.id, column.run_id.startswith(f"{run.id}/", autoescape=True)))
        .group_by(column.run_id)
        .order_by(column.run_id)
    )
    return [
        {
            "phase": name.partition("/")[2] or "all",
            "ranges": int(count),
            "ranges_done": int(done),
            "rows": int(done_rows),
            "batches": int(batches),
        }
        for name, count, done, done_rows, batches in rows
    ]
