"""What one run did, in figures: by phase, by batch and over time. Plain data, for a table, JSON or a page."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import iso
from chatctl.domain.result import Result
from chatctl.services.runs.inspecting import brief
from chatctl.services.runs.target import RunsTarget
from chatctl.stores.sql.journal import Run

#: Into how many points of time a run is divided at most.
POINTS = 60


def report(target: RunsTarget, run_id: str) -> Result:
    """The run's figures, from its batches in the journal. Raises NotFoundError."""
    run = target.get(run_id)
    with target.database.connect() as connection:
        phases = _phases(target, connection, run)
        timeline = _timeline(target, connection, run, phases)
        statements = _statements(target, connection, run)
    data = {
        **brief(run),
        "layout": run.layout,
        "scope": run.scope,
        "options": run.options,
        "totals": {key: value for key, value in run.totals.items() if not isinstance(value, dict | list)},
        "phases": phases,
        "timeline": timeline,
        "statements": statements,
    }
    return Result(data, run_id=run.id)


def _phases(target: RunsTarget, connection: sa.Connection, run: Run) -> list[dict[str, Any]]:
    column = target.journal.tables.batches.c
    found = connection.execute(
        sa.select(
            column.run_id,
            sa.func.count(),
            sa.func.sum(column.row_count),
            sa.func.sum(column.milliseconds),
            sa.func.max(column.milliseconds),
            sa.func.min(column.committed_ms - column.milliseconds),
            sa.func.max(column.committed_ms),
        )
        .where(of_run(column.run_id, run.id))
        .group_by(column.run_id)
        .order_by(sa.func.min(column.committed_ms))
    )
    return [
        {
            "phase": name.partition("/")[2] or "all",
            "batches": int(batches),
            "rows": int(rows),
            "began": iso(int(first)),
            "ended": iso(int(last)),
            "seconds": round((int(last) - int(first)) / 1000, 3),
            "rows_per_second": round(int(rows) * 1000 / (int(last) - int(first)), 1) if last > first else None,
            "average_ms": round(int(milliseconds) / int(batches), 1),
            "slowest_ms": int(slowest),
        }
        for name, batches, rows, milliseconds, slowest, first, last in found
    ]


def _timeline(
    target: RunsTarget, connection: sa.Connection, run: Run, phases: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows done by equal parts of the time; parts without any are left out."""
    if not phases:
        return []
    column = target.journal.tables.batches.c
    mine = of_run(column.run_id, run.id)
    first, last = connection.execute(
        sa.select(sa.func.min(column.committed_ms), sa.func.max(column.committed_ms)).where(mine)
    ).one()
    width = max(1, (int(last) - int(first)) // POINTS + 1)
    part = ((column.committed_ms - int(first)) // sa.literal(width, sa.BigInteger)).label("part")
    numbered = sa.select(part, column.row_count).where(mine).subquery()
    query = sa.select(numbered.c.part, sa.func.sum(numbered.c.row_count), sa.func.count())
    rows = connection.execute(query.group_by(numbered.c.part).order_by(numbered.c.part))
    return [
        {
            "at": iso(int(first) + int(number) * width),
            "seconds": width / 1000,
            "rows": int(count),
            "batches": int(batches),
        }
        for number, count, batches in rows
    ]


def _statements(target: RunsTarget, connection: sa.Connection, run: Run) -> list[dict[str, Any]]:
    """The statements of a migration, in their order."""
    table = target.journal.tables.statements
    rows = connection.execute(
        sa.select(table).where(table.c.run_id == run.id).order_by(table.c.started_ms, table.c.revision, table.c.ordinal)
    )
    return [
        {
            "revision": row.revision,
            "sql": row.sql_text,
            "state": row.state,
            "seconds": (row.finished_ms - row.started_ms) / 1000 if row.finished_ms else None,
        }
        for row in rows
    ]


def of_run(column: sa.Column[str], run_id: str) -> sa.ColumnElement[bool]:
    """What belongs to a run itself or to one of its phases."""
    return sa.or_(column == run_id, column.startswith(f"{run_id}/", autoescape=True))
