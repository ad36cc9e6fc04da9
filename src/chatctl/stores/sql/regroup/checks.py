"""What must hold after a regrouping, counted in SQL: 0 wherever nothing is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.regroup.scheme import FIRST, LAST, Scheme
from chatctl.stores.sql.regroup.settle import actual
from chatctl.stores.sql.regroup.worktables import KEPT, MADE, WorkTables


def checksum(connection: sa.Connection, scheme: Scheme, keys: Sequence[str], cutoff: datetime) -> dict[str, Any]:
    """How many messages are not younger than `cutoff`, and a checksum of their columns `keys`, in any order."""
    columns = [scheme.messages.c[key] for key in keys]
    total = scheme.dialect.row_number_sum(columns)
    settled = scheme.at <= sa.literal(cutoff, scheme.at.type)
    row = connection.execute(sa.select(sa.func.count(), total).select_from(scheme.messages).where(settled)).one()
    return {"count": row[0], "checksum": str(int(row[1] or 0))}


def left_behind(connection: sa.Connection, scheme: Scheme, cutoff: datetime) -> int:
    """Messages that should have been moved, and were not."""
    settled = scheme.at <= sa.literal(cutoff, scheme.at.type)
    return _count(connection, sa.select(sa.func.count()).where(*scheme.eligible(), settled))


class ChatChecks:
    """Counts over the run's own chats that the application has not written to since."""

    def __init__(self, connection: sa.Connection, scheme: Scheme, work: WorkTables) -> None:
        self._connection = connection
        self._scheme = scheme
        self._work = work.chats
        self._own = [work.chats.c.fate == MADE]

    def missing(self) -> int:
        """Chats of the run that are gone."""
        there = sa.exists().where(self._scheme.chat_id == self._work.c.chat_id)
        return self._number(sa.select(sa.func.count()).where(*self._own, ~there))

    def empty(self) -> int:
        """Chats of the run without a message."""
        now = actual(self._scheme, None, None).subquery()
        return self._number(self._joined(now).where(now.c.chat_id.is_(None)))

    def wrong_times(self) -> int:
        """Chats that begin after their first message, or end before their last one."""
        chats, now = self._scheme.chats, actual(self._scheme, None, None).subquery()
        wrong = [chats.c[key] > now.c.first_at for key in FIRST if key in chats.c]
        wrong += [chats.c[key] < now.c.last_at for key in LAST if key in chats.c]
        joined = self._work.join(now, now.c.chat_id == self._work.c.chat_id).join(
            chats, self._scheme.chat_id == self._work.c.chat_id
        )
        return self._number(sa.select(sa.func.count()).select_from(joined).where(*self._own, sa.or_(*wrong)))

    def lost_messages(self) -> int:
        """Messages that the run moved and that are no longer in its chats."""
        now = actual(self._scheme, None, None).subquery()
        short = self._work.c.messages - sa.func.coalesce(now.c.messages, 0)
        total = sa.func.coalesce(sa.func.sum(sa.case((short > 0, short), else_=0)), 0)
        source = self._work.outerjoin(now, now.c.chat_id == self._work.c.chat_id)
        return self._number(sa.select(total).select_from(source).where(*self._own))

    def foreign_messages(self) -> int:
        """Messages whose keys are not those of the chat they are in."""
        scheme, work = self._scheme, self._work
        differs = [
            sa.func.coalesce(scheme.dialect.as_text(scheme.values[key]), "")
            != sa.func.coalesce(scheme.dialect.as_text(work.c[key]), "")
            for key in scheme.grouping.by
        ]
        joined = scheme.messages.join(work, scheme.link == work.c.chat_id)
        return self._number(sa.select(sa.func.count()).select_from(joined).where(*self._own, sa.or_(*differs)))

    def examples(self) -> list[str]:
        """Some chats of the run that are empty, gone, or short of messages."""
        now = actual(self._scheme, None, None).subquery()
        bad = sa.or_(now.c.chat_id.is_(None), now.c.messages < self._work.c.messages)
        query = sa.select(self._work.c.chat_id).select_from(
            self._work.outerjoin(now, now.c.chat_id == self._work.c.chat_id)
        )
        return list(self._connection.scalars(query.where(*self._own, bad).order_by(self._work.c.chat_id).limit(5)))

    def totals(self) -> tuple[int, int]:
        """How many chats the run made, and how many messages they hold by its own count."""
        fate = self._work.c.fate.in_([MADE, KEPT])
        row = self._connection.execute(
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(self._work.c.messages), 0)).where(fate)
        ).one()
        return int(row[0]), int(row[1])

    def _joined(self, now: sa.Subquery) -> sa.Select[Any]:
        source = self._work.outerjoin(now, now.c.chat_id == self._work.c.chat_id)
        return sa.select(sa.func.count()).select_from(source).where(*self._own)

    def _number(self, query: sa.Select[Any]) -> int:
        return _count(self._connection, query)


def _count(connection: sa.Connection, query: sa.Select[Any]) -> int:
    return int(connection.scalar(query) or 0)
