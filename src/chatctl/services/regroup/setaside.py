"""The messages that a run could not move, each by itself: which, why, and how they are spoken of."""

from __future__ import annotations

import sqlalchemy as sa

from chatctl.domain.result import Notice
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.regroup import WorkTables

_NAMED = 5


def aside(database: Database, work: WorkTables) -> list[tuple[str, str]]:
    """The messages that were set aside, each with the reason; in the order of their IDs."""
    table = work.aside
    with database.connect() as connection:
        rows = connection.execute(sa.select(table.c.id, table.c.reason).order_by(table.c.id))
        return [(str(row.id), row.reason) for row in rows]


def complaint(run_id: str, found: list[tuple[str, str]]) -> tuple[Notice, ...]:
    """What is said of them, if there are any."""
    if not found:
        return ()
    named = "; ".join(f"{identity}: {reason}" for identity, reason in found[:_NAMED])
    more = f"; and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return (
        Notice(
            "set_aside",
            f"{len(found):,} messages could not be moved and were set aside. {named}{more}",
            f"Mend what the database complains of, then: chatctl regroup run --retry-failed {run_id}",
        ),
    )
