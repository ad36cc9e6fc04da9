"""Brings the chats' times and counts in line with the messages that are in them now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import KeyRange, between
from chatctl.stores.sql.regroup.phase import ChatPhase, changed
from chatctl.stores.sql.regroup.scheme import FIRST, LAST, Scheme
from chatctl.stores.sql.regroup.worktables import JOINED, MADE, WorkTables


class Settle(ChatPhase):
    """Corrects what messages that arrived during the pass have changed; most chats are right already."""

    name: ClassVar[str] = "settle"
    title: ClassVar[str] = "settling chats"

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Settles the next `size` chats."""
        step = KeyRange(self.work.chats.c.chat_id).step(connection, bounds, position, size)
        if step.rows:
            noted = self._note(connection, step.within, position.get("after", bounds["after"]), step.upper)
            # What the first pass has made has the right times, unless the count or the times were wrong.
            if noted or self.joins or self.round > 1:
                self._correct(connection, step.within)
        return BatchOutcome(step.rows, {"after": step.upper}, step.last)

    def _note(self, connection: sa.Connection, within: sa.ColumnElement[bool], after: Any, upto: Any) -> int:
        """Notes what is in the chats now; returns how many had something else."""
        chats = self.work.chats.c
        scheme, joined = self.scheme, self.work.joined
        own = sa.select(sa.func.sum(scheme.number)).where(scheme.link == chats.chat_id)
        found = actual(scheme, between(scheme.link, after, upto))
        noted = self._take_over(connection, sa.and_(within, chats.fate == MADE), found, own)
        if self.joins:
            added = sa.select(sa.func.sum(scheme.number)).where(
                scheme.id == joined.c.id, joined.c.chat_id == chats.chat_id
            )
            found = actual_joined(scheme, self.work, between(joined.c.chat_id, after, upto))
            noted += self._take_over(connection, sa.and_(within, chats.fate == JOINED), found, added)
        return noted

    def _take_over(
        self,
        connection: sa.Connection,
        chosen: sa.ColumnElement[bool],
        found: sa.Select[Any],
        checksum: sa.Select[Any],
    ) -> int:
        chats, now = self.work.chats, found.subquery()
        differs = [chats.c[name] != now.c[name] for name in ("messages", "first_at", "last_at")]
        values: dict[Any, Any] = {chats.c[name]: now.c[name] for name in ("messages", "first_at", "last_at")}
        values[chats.c.checksum] = checksum.correlate(chats).scalar_subquery()
        where = (chosen, chats.c.chat_id == now.c.chat_id, sa.or_(*differs))
        return changed(connection, chats.update().where(*where).values(values))

    def _correct(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> None:
        """Times are only ever widened: the application may have touched a chat meanwhile."""
        chats, work, dialect = self.scheme.chats, self.work.chats.c, self.scheme.dialect
        same = chats.c[self.scheme.chat_key] == work.chat_id
        for key in LAST:
            if key in chats.c:
                later = chats.c[key] < work.last_at
                connection.execute(
                    chats.update()
                    .where(same, within, later)
                    .values({key: dialect.greatest(chats.c[key], work.last_at)})
                )
        for key in FIRST:
            if key in chats.c:
                sooner = sa.and_(chats.c[key] > work.first_at, work.fate == MADE)
                connection.execute(
                    chats.update().where(same, within, sooner).values({key: dialect.least(chats.c[key], work.first_at)})
                )


def actual(
    scheme: Scheme, conditions: Sequence[sa.ColumnElement[bool]] = (), *, summed: bool = False
) -> sa.Select[Any]:
    """What the messages say is in each chat: `messages`, `first_at`, `last_at`, and `checksum` if it is asked for."""
    return _counted(scheme, scheme.link, summed=summed).where(scheme.link.is_not(None), *conditions)


def actual_joined(
    scheme: Scheme, work: WorkTables, conditions: Sequence[sa.ColumnElement[bool]] = (), *, summed: bool = False
) -> sa.Select[Any]:
    """The same for chats that were there before the run: only of the messages that it has added to them."""
    joined = work.joined
    same = sa.and_(scheme.id == joined.c.id, scheme.link == joined.c.chat_id)
    counted = _counted(scheme, joined.c.chat_id, summed=summed)
    return counted.select_from(joined.join(scheme.messages, same)).where(*conditions)


def _counted(scheme: Scheme, chat_id: sa.Column[Any], *, summed: bool) -> sa.Select[Any]:
    counted: list[sa.ColumnElement[Any]] = [
        chat_id.label("chat_id"),
        sa.func.count().label("messages"),
        sa.func.min(scheme.at, type_=scheme.at.type).label("first_at"),
        sa.func.max(scheme.at, type_=scheme.at.type).label("last_at"),
    ]
    if summed:
        counted.append(sa.func.sum(scheme.number).label("checksum"))
    return sa.select(*counted).group_by(chat_id)
