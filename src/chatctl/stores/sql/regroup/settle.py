"""Brings the chats' times and counts in line with the messages that are in them now."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import KeyRange, between
from chatctl.stores.sql.regroup.phase import Phase
from chatctl.stores.sql.regroup.scheme import FIRST, LAST, Scheme
from chatctl.stores.sql.regroup.worktables import MADE


class Settle(Phase):
    """Corrects what messages that arrived during the pass have changed; most chats are right already."""

    name: ClassVar[str] = "settle"
    title: ClassVar[str] = "settling chats"
    unit: ClassVar[str] = "chats"

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """Slices of the chats' IDs."""
        return KeyRange(self.work.chats.c.chat_id).slices(connection)

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Settles the next `size` chats."""
        step = KeyRange(self.work.chats.c.chat_id).step(connection, bounds, position, size)
        if step.rows:
            after = position.get("after", bounds["after"])
            self._note(connection, step.within, actual(self.scheme, after, step.upper))
            self._correct(connection, step.within)
        return BatchOutcome(step.rows, {"after": step.upper}, step.last)

    def _note(self, connection: sa.Connection, within: sa.ColumnElement[bool], counted: sa.Select[Any]) -> None:
        chats, now = self.work.chats, counted.subquery()
        differs = sa.or_(
            chats.c.messages != now.c.messages, chats.c.first_at != now.c.first_at, chats.c.last_at != now.c.last_at
        )
        values = {
            chats.c.messages: now.c.messages,
            chats.c.first_at: now.c.first_at,
            chats.c.last_at: now.c.last_at,
        }
        connection.execute(chats.update().where(within, chats.c.chat_id == now.c.chat_id, differs).values(values))

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


def actual(scheme: Scheme, after: Any, upto: Any) -> sa.Select[Any]:
    """What is in each chat with an ID behind `after` and up to `upto`: `messages`, `first_at`, `last_at`."""
    return (
        sa.select(
            scheme.link.label("chat_id"),
            sa.func.count().label("messages"),
            sa.func.min(scheme.at, type_=scheme.at.type).label("first_at"),
            sa.func.max(scheme.at, type_=scheme.at.type).label("last_at"),
        )
        .where(scheme.link.is_not(None), *between(scheme.link, after, upto))
        .group_by(scheme.link)
    )
