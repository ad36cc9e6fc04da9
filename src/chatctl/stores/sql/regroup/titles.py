"""Titles made of each chat's first message."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import KeyRange
from chatctl.stores.sql.regroup.phase import ChatPhase
from chatctl.stores.sql.regroup.scheme import Scheme
from chatctl.stores.sql.regroup.worktables import MADE

#: A title is a line, not the whole message.
_CHARACTERS = 80


class FirstMessageTitles(ChatPhase):
    """Gives the run's own chats the beginning of their first message, on one line, where they have no title."""

    name: ClassVar[str] = "titles"
    title: ClassVar[str] = "naming chats"

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Names the next `size` chats."""
        work, scheme = self.work.chats.c, self.scheme
        own = [work.fate == MADE, work.round == self.round]
        step = KeyRange(work.chat_id, own).step(connection, bounds, position, size)
        if step.rows and "title" in scheme.chats.c:
            made = sa.select(work.chat_id).where(step.within, *own)
            connection.execute(
                scheme.chats.update()
                .where(scheme.chat_id.in_(made), scheme.chats.c.title.is_(None))
                .values(title=first_line(scheme).correlate(scheme.chats).scalar_subquery())
            )
        return BatchOutcome(step.rows, {"after": step.upper}, step.last)


def first_line(scheme: Scheme) -> sa.Select[Any]:
    """The beginning of the first message of a chat, on one line."""
    text: sa.ColumnElement[str] = scheme.messages.c.content
    for line_end in ("\r\n", "\n", "\r"):
        text = sa.func.replace(text, line_end, " ", type_=sa.String())
    line = sa.func.trim(sa.func.substr(text, 1, _CHARACTERS), type_=sa.String())
    return sa.select(line).where(scheme.link == scheme.chat_id).order_by(scheme.at, scheme.id).limit(1)
