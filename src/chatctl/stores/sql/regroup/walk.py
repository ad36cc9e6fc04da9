"""Finds the pauses: walks along the spine and cuts each group into chats.

A message begins a chat where the time since everything before it in its group is longer than the pause. What lies
before it is the message before it on the spine and the chat that an earlier batch or pass has found for that place,
so a group may straddle any number of batches, and later messages join where they belong.
"""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.regroup.spine import SpinePhase, as_of


class Walk(SpinePhase):
    """One pass along the spine. Ranges end between groups; within one, batches follow each other."""

    name: ClassVar[str] = "walk"
    title: ClassVar[str] = "finding pauses"
    besides: ClassVar[tuple[str, ...]] = ("number",)

    def work_on(
        self, connection: sa.Connection, rows: sa.Select[Any], first: sa.Row[Any], last: sa.Row[Any]
    ) -> dict[str, int]:
        """Adds the segments that begin a chat to the run's chats, and extends those that go on with one."""
        segments = self._segments(rows)
        # Before the first pass there is no chat that a segment could lie before.
        parts = (segments if self.round == 1 else self._joined(segments)).subquery()
        messages, scheme = self.scheme.messages, self.scheme
        own = scheme.chat_id_of([*scheme.values.values(), scheme.id])
        chat_id = sa.func.coalesce(parts.c.chat, own, type_=sa.String())
        found = (
            sa.select(
                chat_id.label("chat_id"), sa.literal(self.round), *scheme.values.values(),
                parts.c.digest, parts.c.first_at, parts.c.first_id, parts.c.last_at, parts.c.messages, parts.c.checksum,
            )
            .select_from(parts.join(messages, scheme.id == parts.c.first_id))
            .order_by(chat_id)
        )  # fmt: skip
        names = ["chat_id", "round", *scheme.grouping.by, "digest", "first_at", "first_id", "last_at", "messages",
                 "checksum"]  # fmt: skip
        connection.execute(scheme.dialect.upsert(self.work.chats, names, found, "chat_id", self._merge))
        return {}

    def _merge(self, there: Any, new: Any) -> dict[str, sa.ColumnElement[Any]]:
        earlier = sa.or_(
            new.first_at < there.first_at, sa.and_(new.first_at == there.first_at, new.first_id < there.first_id)
        )
        return {
            "first_id": sa.case((earlier, new.first_id), else_=there.first_id),
            "first_at": self.scheme.dialect.least(there.first_at, new.first_at),
            "last_at": self.scheme.dialect.greatest(there.last_at, new.last_at),
            "messages": there.messages + new.messages,
            "checksum": there.checksum + new.checksum,
        }

    def _segments(self, rows: sa.Select[Any]) -> sa.Select[Any]:
        """Runs of messages that belong together: their chat (null for a new one), first and last message, count."""
        marked = self._marked(rows).subquery()
        order = (marked.c.at, marked.c.id)
        number = sa.func.sum(marked.c.begins).over(partition_by=marked.c.digest, order_by=order)
        numbered = sa.select(marked, number.label("segment")).subquery()
        first = numbered.c.begins == 1
        return sa.select(
            numbered.c.digest,
            sa.func.max(sa.case((first, numbered.c.chat)), type_=sa.String()).label("chat"),
            sa.func.min(numbered.c.at, type_=numbered.c.at.type).label("first_at"),
            sa.func.max(sa.case((first, numbered.c.id)), type_=numbered.c.id.type).label("first_id"),
            sa.func.max(numbered.c.at, type_=numbered.c.at.type).label("last_at"),
            sa.func.count().label("messages"),
            sa.func.sum(numbered.c.number).label("checksum"),
        ).group_by(numbered.c.digest, numbered.c.segment)

    def _joined(self, segments: sa.Select[Any]) -> sa.Select[Any]:
        """The same, where a new one that ends shortly before a chat of an earlier pass belongs to that chat.

        Of two messages that are sent in the same moment the later one may be there first.
        """
        parts, chats = segments.subquery(), self.work.chats.alias("following")
        microseconds = self.scheme.dialect.microseconds
        pause = microseconds(chats.c.first_at) - microseconds(parts.c.last_at)
        near = [chats.c.digest == parts.c.digest, chats.c.first_at >= parts.c.last_at, pause <= self._limit]
        following = sa.select(chats.c.chat_id).where(*near).order_by(chats.c.first_at, chats.c.first_id).limit(1)
        chat = sa.func.coalesce(parts.c.chat, following.scalar_subquery(), type_=sa.String()).label("joins")
        found = sa.select(parts, chat).subquery()
        alone = sa.case((found.c.joins.is_(None), found.c.first_id)).label("alone")
        place = sa.func.row_number().over(
            partition_by=(found.c.digest, found.c.joins, alone), order_by=(found.c.first_at, found.c.first_id)
        )
        placed = sa.select(found, alone, place.label("place")).subquery()
        return sa.select(
            placed.c.digest,
            placed.c.joins.label("chat"),
            sa.func.min(placed.c.first_at, type_=placed.c.first_at.type).label("first_at"),
            sa.func.max(sa.case((placed.c.place == 1, placed.c.first_id)), type_=placed.c.first_id.type)
            .label("first_id"),
            sa.func.max(placed.c.last_at, type_=placed.c.last_at.type).label("last_at"),
            sa.func.sum(placed.c.messages).label("messages"),
            sa.func.sum(placed.c.checksum).label("checksum"),
        ).group_by(placed.c.digest, placed.c.joins, placed.c.alone)  # fmt: skip

    @property
    def _limit(self) -> int:
        """The pause in microseconds."""
        return (self.scheme.grouping.gap_seconds or 0) * 1_000_000

    def _marked(self, rows: sa.Select[Any]) -> sa.Select[Any]:
        """Each message with the chat it goes on with, and whether a segment begins at it."""
        placed = self._placed(rows).subquery()
        chats = self.work.chats
        microseconds = self.scheme.dialect.microseconds
        before, reached = microseconds(placed.c.before), microseconds(chats.c.last_at)
        since = self.scheme.dialect.greatest(sa.func.coalesce(before, reached), sa.func.coalesce(reached, before))
        pause = microseconds(placed.c.at) - since
        is_new = sa.case((since.is_(None), 1), (pause > self._limit, 1), else_=0)
        judged = (
            sa.select(placed, is_new.label("is_new"))
            .select_from(placed.outerjoin(chats, chats.c.chat_id == placed.c.chat))
            .subquery()
        )
        moved_on = judged.c.chat.is_distinct_from(judged.c.chat_before)
        begins = sa.case((judged.c.is_new == 1, 1), (judged.c.before.is_(None), 1), (moved_on, 1), else_=0)
        chat = sa.case((judged.c.is_new == 0, judged.c.chat))
        return sa.select(
            judged.c.digest, judged.c.at, judged.c.id, judged.c.number, begins.label("begins"), chat.label("chat")
        )

    def _placed(self, rows: sa.Select[Any]) -> sa.Select[Any]:
        """Each message with the time of the one before it, and the chat that is known for its place."""
        taken = rows.subquery()
        known = self.work.chats.alias("known")
        found = as_of(known, taken.c.digest, taken.c.at, taken.c.id).limit(1).scalar_subquery()
        located = sa.select(taken, found.label("chat")).subquery()
        window: dict[str, Any] = {"partition_by": located.c.digest, "order_by": (located.c.at, located.c.id)}
        return sa.select(
            located,
            sa.func.lag(located.c.at, type_=located.c.at.type).over(**window).label("before"),
            sa.func.lag(located.c.chat, type_=sa.String()).over(**window).label("chat_before"),
        )
