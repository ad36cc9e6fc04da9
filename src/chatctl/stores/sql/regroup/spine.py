"""Steps along a run's spine: the messages of one pass, group after group, each group in its order."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import slices_of
from chatctl.stores.sql.regroup.phase import Phase

_HEX = "0123456789abcdef"


class SpinePhase(Phase):
    """Work along the spine. Ranges end between groups; within one, batches follow each other."""

    #: What is read of the spine beside its order.
    besides: ClassVar[tuple[str, ...]] = ()

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """Ranges of digests by their first digit, which are about equal."""
        parts = slices_of(connection, self.scheme.dialect, self.scheme.messages)
        edges = [None, *_HEX[16 // parts :: 16 // parts], None]
        return [{"from": low, "below": high} for low, high in pairwise(edges)]

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Goes on by `size` messages."""
        rows = self._next(bounds, position, size)
        taken = rows.subquery()
        order = (taken.c.digest, taken.c.at, taken.c.id)
        count = connection.scalar(sa.select(sa.func.count()).select_from(taken)) or 0
        if not count:
            return BatchOutcome(0, position, True)
        first = connection.execute(sa.select(taken).order_by(*order).limit(1)).one()
        last = connection.execute(sa.select(taken).order_by(*(column.desc() for column in order)).limit(1)).one()
        self.scheme.dialect.prefer_indexes(connection)
        counts = self.work_on(connection, rows, first, last)
        return BatchOutcome(count, reached(last), count < size, counts)

    def work_on(
        self, connection: sa.Connection, rows: sa.Select[Any], first: sa.Row[Any], last: sa.Row[Any]
    ) -> dict[str, int]:
        """Does the work for `rows` of the spine, which go from `first` to `last`; returns what to count."""
        raise NotImplementedError

    def _next(self, bounds: Position, position: Position, size: int) -> sa.Select[Any]:
        spine = self.work.spine.c
        conditions = [spine.round == self.round]
        if bounds["from"] is not None:
            conditions.append(spine.digest >= bounds["from"])
        if bounds["below"] is not None:
            conditions.append(spine.digest < bounds["below"])
        order = (spine.digest, spine.at, spine.id)
        if position:
            place = (position["digest"], datetime.fromisoformat(position["at"]), position["id"])
            conditions.append(self.scheme.dialect.beyond(order, place))
        return (
            sa.select(*order, *(spine[name] for name in self.besides)).where(*conditions).order_by(*order).limit(size)
        )


def reached(row: sa.Row[Any]) -> Position:
    """The position behind a row of the spine."""
    return {"digest": row.digest, "at": row.at.isoformat(), "id": row.id}


def as_of(chats: Any, digest: Any, at: Any, identity: Any) -> sa.Select[Any]:
    """The chats of a group that begin at or before a place in it, the nearest first."""
    begins_before = sa.or_(chats.c.first_at < at, sa.and_(chats.c.first_at == at, chats.c.first_id <= identity))
    return (
        sa.select(chats.c.chat_id)
        .where(chats.c.digest == digest, chats.c.first_at <= at, begins_before)
        .order_by(chats.c.first_at.desc(), chats.c.first_id.desc())
    )
