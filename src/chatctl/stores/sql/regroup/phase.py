"""What one phase of a run is to the batch runner and to the service that drives it."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import Work
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import KeyRange, slices_of
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
    largest_batch: ClassVar[int] = 200_000
    target_ms: ClassVar[int] = 500

    #: Whether some of the run's chats were there before it, and whether some of its messages were set aside.
    joins: bool = True
    skips: bool = True

    def __init__(self, scheme: Scheme, work: WorkTables, round_number: int) -> None:
        self.scheme = scheme
        self.work = work
        self.round = round_number

    def look_around(self, connection: sa.Connection) -> None:
        """Notes what earlier phases leave to be heeded in each batch; called before the first one."""
        chats, aside = self.work.chats.c, self.work.aside.c
        self.joins = _any(connection, sa.select(chats.chat_id).where(chats.fate == JOINED))
        self.skips = _any(connection, sa.select(aside.id))

    def eligible(self) -> list[sa.ColumnElement[bool]]:
        """What a message must fulfil to be moved by the run: not to have been set aside, too."""
        if not self.skips:
            return self.scheme.eligible()
        return [*self.scheme.eligible(), self.scheme.id.not_in(sa.select(self.work.aside.c.id))]

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """The ranges that the phase is shared out in."""
        raise NotImplementedError

    def committed(self, position: Position) -> None:
        """Nothing outside the database needs to know."""


class ChatPhase(Phase):
    """A phase that goes over the run's chats in the order of their IDs."""

    unit: ClassVar[str] = "chats"

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """Slices of the chats' IDs."""
        chats = self.work.chats
        return KeyRange(chats.c.chat_id).slices(connection, slices_of(connection, self.scheme.dialect, chats))


def _any(connection: sa.Connection, query: sa.Select[Any]) -> bool:
    return connection.execute(query.limit(1)).first() is not None


def changed(connection: sa.Connection, statement: sa.Insert | sa.Update | sa.Delete) -> int:
    """Executes `statement` and returns how many rows it wrote."""
    # Without the option SQLAlchemy forgets the count of an INSERT … SELECT.
    result: sa.CursorResult[Any] = connection.execute(statement, execution_options={"preserve_rowcount": True})
    return result.rowcount
