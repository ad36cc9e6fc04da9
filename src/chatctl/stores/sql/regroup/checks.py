"""What must hold after a regrouping, counted in SQL: 0 wherever nothing is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.regroup.scheme import FIRST, LAST, Scheme
from chatctl.stores.sql.regroup.settle import actual, actual_joined
from chatctl.stores.sql.regroup.survey import others
from chatctl.stores.sql.regroup.worktables import JOINED, KEPT, MADE, WorkTables


@dataclass(frozen=True)
class Kept:
    """What became of the `known` messages of a run: how many are missing, and in how many chats one has changed."""

    known: int
    missing: int
    changed: int


def left_behind(connection: sa.Connection, scheme: Scheme) -> int:
    """Messages without a chat that could have one, as old as the run or older."""
    return _count(connection, sa.select(sa.func.count()).where(*scheme.eligible(), scheme.settled()))


def others_now(connection: sa.Connection, scheme: Scheme, work: WorkTables) -> tuple[int, int]:
    """How many messages there are that the run did not move, and the sum of their numbers."""
    own = sa.exists().where(work.chats.c.chat_id == scheme.link, work.chats.c.fate != JOINED)
    added = sa.exists().where(work.joined.c.id == scheme.id)
    return others(connection, scheme, ~own, ~added)


def moved_now(connection: sa.Connection, scheme: Scheme, work: WorkTables) -> Kept:
    """Compares the messages of each chat with what the run noted of them.

    Where the application has added some since, those that are not younger than the run knew are compared; where there
    are still more than it knew, what it knew can't be told from them, and only their number counts.
    """
    now = sa.union_all(
        _noted(work, actual(scheme, summed=True), work.chats.c.fate != JOINED),
        _noted(work, actual_joined(scheme, work, summed=True), work.chats.c.fate == JOINED),
    ).subquery()
    short = now.c.expected - now.c.found
    differs = sa.and_(short == 0, now.c.is_checksum != now.c.was_checksum)
    known, missing, different, grown = connection.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(now.c.expected), 0),
            sa.func.coalesce(sa.func.sum(sa.case((short > 0, short), else_=0)), 0),
            sa.func.coalesce(sa.func.sum(sa.case((differs, 1), else_=0)), 0),
            sa.func.coalesce(sa.func.sum(sa.case((short < 0, 1), else_=0)), 0),
        )
    ).one()
    # Where no chat has grown a server would still go through every message to find that out.
    changed = _changed_in_grown(connection, scheme, work) if grown else 0
    return Kept(int(known), int(missing), int(different) + changed)


def _noted(work: WorkTables, counted: sa.Select[Any], which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    chats, now = work.chats.c, counted.subquery()
    return (
        sa.select(
            chats.messages.label("expected"),
            sa.func.coalesce(now.c.messages, 0).label("found"),
            chats.checksum.label("was_checksum"),
            now.c.checksum.label("is_checksum"),
        )
        .select_from(work.chats.outerjoin(now, now.c.chat_id == chats.chat_id))
        .where(which)
    )


def _changed_in_grown(connection: sa.Connection, scheme: Scheme, work: WorkTables) -> int:
    chats, now = work.chats.c, actual(scheme).subquery()
    grown = (
        sa.select(chats.chat_id, chats.messages, chats.checksum, chats.last_at)
        .select_from(work.chats.join(now, now.c.chat_id == chats.chat_id))
        .where(chats.fate != JOINED, now.c.messages > chats.messages)
        .subquery()
    )
    old = scheme.dialect.in_order(
        sa.select(
            grown.c.messages,
            grown.c.checksum.label("was"),
            sa.func.count().label("found"),
            sa.func.sum(scheme.number).label("now"),
        )
        .select_from(grown.join(scheme.messages, scheme.link == grown.c.chat_id))
        .where(scheme.at <= grown.c.last_at)
        .group_by(grown.c.chat_id, grown.c.messages, grown.c.checksum)
    ).subquery()
    differs = sa.and_(old.c.found == old.c.messages, old.c.now != old.c.was)
    return _count(connection, sa.select(sa.func.count()).select_from(old).where(differs))


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
        now = actual(self._scheme).subquery()
        return self._number(self._joined(now).where(now.c.chat_id.is_(None)))

    def wrong_times(self) -> int:
        """Chats that begin after their first message, or end before their last one."""
        chats, now = self._scheme.chats, actual(self._scheme).subquery()
        wrong = [chats.c[key] > now.c.first_at for key in FIRST if key in chats.c]
        wrong += [chats.c[key] < now.c.last_at for key in LAST if key in chats.c]
        joined = self._work.join(now, now.c.chat_id == self._work.c.chat_id).join(
            chats, self._scheme.chat_id == self._work.c.chat_id
        )
        return self._number(sa.select(sa.func.count()).select_from(joined).where(*self._own, sa.or_(*wrong)))

    def foreign_messages(self) -> int:
        """Messages whose keys are not those of the chat they are in."""
        scheme, work = self._scheme, self._work
        differs = [
            sa.func.coalesce(scheme.dialect.as_text(scheme.values[key]), "")
            != sa.func.coalesce(scheme.dialect.as_text(work.c[key]), "")
            for key in scheme.grouping.by
        ]
        joined = scheme.messages.join(work, scheme.link == work.c.chat_id)
        wrong = sa.select(sa.func.count()).select_from(joined).where(*self._own, sa.or_(*differs))
        return self._number(scheme.dialect.in_order(wrong))

    def examples(self) -> list[str]:
        """Some chats of the run that are empty, gone, or short of messages."""
        now = actual(self._scheme).subquery()
        bad = sa.or_(now.c.chat_id.is_(None), now.c.messages < self._work.c.messages)
        query = sa.select(self._work.c.chat_id).select_from(
            self._work.outerjoin(now, now.c.chat_id == self._work.c.chat_id)
        )
        return list(self._connection.scalars(query.where(*self._own, bad).order_by(self._work.c.chat_id).limit(5)))

    def made(self) -> int:
        """How many chats the run made."""
        return self._number(sa.select(sa.func.count()).where(self._work.c.fate.in_([MADE, KEPT])))

    def _joined(self, now: sa.Subquery) -> sa.Select[Any]:
        source = self._work.outerjoin(now, now.c.chat_id == self._work.c.chat_id)
        return sa.select(sa.func.count()).select_from(source).where(*self._own)

    def _number(self, query: sa.Select[Any]) -> int:
        return _count(self._connection, query)


def _count(connection: sa.Connection, query: sa.Select[Any]) -> int:
    return int(connection.scalar(query) or 0)
