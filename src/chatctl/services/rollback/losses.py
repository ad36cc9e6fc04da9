"""What going back loses of what was written since a run began, and what of it stays. Counted in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from chatctl.domain.instants import from_epoch_ms
from chatctl.domain.restore_points import RestorePoint
from chatctl.services.regroup.running import scheme_of
from chatctl.services.rollback.steps import Loss
from chatctl.services.rollback.target import RollbackTarget
from chatctl.services.rollback.walking import Walk
from chatctl.stores.sql.inspection import columns_present
from chatctl.stores.sql.regroup.foreseeing import Foreseen, Undoable
from chatctl.stores.sql.tables import LayoutTables

_CLOCK = "created_at"


def left(target: RollbackTarget, found: Walk, now: Sequence[Loss]) -> list[Loss]:
    """Of the rows and values that are there `now`, those that no undone run takes with it: they were written since."""
    with target.migration.database.connect() as connection:
        foreseen = Foreseen(connection, undoables(target, found))
        counted = [Loss(loss.table, loss.column, foreseen.left(loss.table, loss.column, loss.rows)) for loss in now]
    return [loss for loss in counted if loss.rows]


def undoables(target: RollbackTarget, found: Walk) -> list[Undoable]:
    """The regroupings that are to be undone, the newest first."""
    made = []
    for run in found.regroups:
        scheme = scheme_of(target.regroup, run)
        made.append(Undoable(scheme, target.regroup.work_tables(run, scheme)))
    return made


def kept_rows(target: RollbackTarget, found: Walk) -> dict[str, int]:
    """The rows that were made since, by their own clock, in tables that stay; by table."""
    migration = target.migration
    with migration.database.connect() as connection:
        now = migration.snapshot(connection)
        before = now if found.point is None or found.point.schema is None else found.point.schema
        tables = LayoutTables(migration.layout, present=columns_present(now))
        counted = {}
        for key in tables:
            table = tables[key]
            if table.name in before and _CLOCK in table.c:
                since = sa.literal(began(found), table.c[_CLOCK].type)
                query = sa.select(sa.func.count()).select_from(table).where(table.c[_CLOCK] >= since)
                counted[table.name] = int(connection.scalar(query) or 0)
    return {name: rows for name, rows in counted.items() if rows}


def began(found: Walk) -> datetime:
    """When the way back ends: by the database's clock where the run noted it."""
    point = RestorePoint.of(found.to.totals)
    return point.at if point else from_epoch_ms(found.to.started_ms)
