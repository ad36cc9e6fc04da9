"""Rows and sessions as one piece of work, in ranges of one run; and what several workers did of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from chatctl.errors import DatabaseError
from chatctl.services.purge.sessions import BOUNDS, SessionWork
from chatctl.stores.sql.batches.work import BatchOutcome, Position
from chatctl.stores.sql.purge.work import PurgeWork


@dataclass(frozen=True)
class BothWorks:
    """The rows and, where there are any, the sessions in Redis: two ranges of one run."""

    rows: PurgeWork
    sessions: SessionWork | None
    limit: int | None = None

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """A batch of whatever the range is about."""
        if bounds != BOUNDS:
            return self.rows.batch(connection, bounds, position, size)
        # A range of sessions in a run that goes on without Redis has nothing to walk.
        if self.sessions is None:
            return BatchOutcome(0, {**BOUNDS}, True)
        if self.limit is not None and self.sessions.left is None:
            self.sessions.left = max(0, self.limit - self.rows.deleted)
        return self.sessions.batch(connection, bounds, position, size)

    def set_aside(self, connection: sa.Connection, bounds: Position, position: Position, reason: str) -> BatchOutcome:
        """Goes past one conversation that the database doesn't let go. Raises DatabaseError for sessions."""
        if bounds == BOUNDS:
            raise DatabaseError(reason)
        return self.rows.set_aside(connection, bounds, position, reason)

    def committed(self, position: Position) -> None:
        """Tells both: each knows whether it has something pending."""
        self.rows.committed(position)
        if self.sessions is not None:
            self.sessions.committed(position)

    @property
    def by_account(self) -> Counter[str]:
        """What this attempt deleted, by account."""
        return self.rows.by_account + (self.sessions.by_account if self.sessions else Counter())

    @property
    def sessions_deleted(self) -> int:
        """Sessions that this attempt took out of Redis."""
        return self.sessions.deleted if self.sessions else 0

    @property
    def sessions_messages(self) -> int:
        """The entries of their histories."""
        return self.sessions.messages if self.sessions else 0


@dataclass(frozen=True)
class Crew:
    """What the workers of one run did, together."""

    works: Sequence[BothWorks]

    @property
    def by_account(self) -> Counter[str]:
        """What this attempt deleted, by account."""
        return sum((work.by_account for work in self.works), Counter())

    @property
    def keeps_sessions(self) -> bool:
        """Whether sessions in Redis are part of it."""
        return any(work.sessions is not None for work in self.works)

    @property
    def set_aside(self) -> list[str]:
        """Conversations that the database didn't let go."""
        return [name for work in self.works for name in work.rows.set_aside_names]

    @property
    def sessions_deleted(self) -> int:
        """Sessions that this attempt took out of Redis."""
        return sum(work.sessions_deleted for work in self.works)

    @property
    def sessions_messages(self) -> int:
        """The entries of their histories."""
        return sum(work.sessions_messages for work in self.works)
