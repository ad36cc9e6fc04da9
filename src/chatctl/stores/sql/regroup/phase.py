"""What one phase of a run is to the batch runner and to the service that drives it."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import Work
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.scheme import Scheme
from chatctl.stores.sql.regroup.worktables import JOINED, WorkTables


class Phase(Work):
    """One kind of work in a pass over the messages (`round`, from 1)."""

    #: What the phase is called in the journal.
    name: ClassVar[str]
    #: What it does, for people, and what it counts.
    title: ClassVar[str]
    unit: ClassVar[str] = "messages"
    #: How many rows the first batch takes and the largest may take, and how long one should last.
    first_batch: int = 10_000
    largest_batch: ClassVar[int] = 100_000
    target_ms: ClassVar[int] = 500

    def __init__(self, scheme: Scheme, work: WorkTables, round_number: int) -> None:
        self.scheme = scheme
        self.work = work
        self.round = round_number

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """The ranges that the phase is shared out in."""
        raise NotImplementedError

    def committed(self, position: Position) -> None:
        """Nothing outside the database needs to know."""


def joins(connection: sa.Connection, work: WorkTables) -> bool:
    """Whether some of the run's chats were there before it. Known once the pass has made its chats."""
    there = sa.select(work.chats.c.chat_id).where(work.chats.c.fate == JOINED)
    return connection.execute(there.limit(1)).first() is not None


def changed(connection: sa.Connection, statement: sa.Insert | sa.Update | sa.Delete) -> int:
    """Executes `statement` and returns how many rows it wrote."""
    # Without the option SQLAlchemy forgets the count of an INSERT … SELECT.
    result: sa.CursorResult[Any] = connection.execute(statement, execution_options={"preserve_rowcount": True})
    return result.rowcount
