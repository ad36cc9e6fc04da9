"""Moves messages into their chats, one UPDATE a batch: by primary key alone where keys decide, along the spine else."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.counting import link_is_enforced
from chatctl.stores.sql.regroup.keyrange import KeyRange, slices_of
from chatctl.stores.sql.regroup.phase import Phase, changed
from chatctl.stores.sql.regroup.spine import SpinePhase, as_of, reached
from chatctl.stores.sql.regroup.worktables import JOINED, REASON_LENGTH


class Assign(Phase):
    """Gives each message the ID that its keys make, without joining anything where the engine hashes quickly."""

    name: ClassVar[str] = "assign"
    title: ClassVar[str] = "moving messages"
    _server_knows_chats = False

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """Slices of the messages' keys."""
        # Where other chats are there as well, the server would take one of theirs for one of the run's.
        self._server_knows_chats = link_is_enforced(connection, self.scheme) and not self._other_chats(connection)
        parts = slices_of(connection, self.scheme.dialect, self.scheme.messages)
        return KeyRange(self.scheme.id).slices(connection, parts)

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Moves the next `size` messages."""
        scheme = self.scheme
        scheme.dialect.prefer_indexes(connection)
        step = KeyRange(scheme.id, self.eligible()).step(connection, bounds, position, size)
        if not step.rows:
            return BatchOutcome(0, {"after": step.upper}, True)
        chat_id, known = self._chat()
        chosen = [step.within, *self.eligible(), known]
        self._note_own_keys(connection, chosen)
        self._note_joined(connection, chat_id, chosen)
        values: dict[str, Any] = {scheme.link_key: chat_id, **{key: scheme.values[key] for key in scheme.filled}}
        moved = self._move(connection, [step.within, *self.eligible()], known, values)
        return BatchOutcome(step.rows, {"after": step.upper}, step.last, {"messages_moved": moved})

    def set_aside(self, connection: sa.Connection, bounds: Position, position: Position, reason: str) -> BatchOutcome:
        """Goes past one message."""
        step = KeyRange(self.scheme.id, self.eligible()).step(connection, bounds, position, 1)
        if step.rows:
            note_aside(self, connection, step.upper, reason)
        return BatchOutcome(step.rows, {"after": step.upper}, step.last, {"set_aside": step.rows})

    def _other_chats(self, connection: sa.Connection) -> bool:
        own = sa.exists().where(self.work.chats.c.chat_id == self.scheme.chat_id)
        return connection.execute(sa.select(self.scheme.chat_id).where(~own).limit(1)).first() is not None

    def _move(
        self,
        connection: sa.Connection,
        chosen: list[sa.ColumnElement[bool]],
        known: sa.ColumnElement[bool],
        values: dict[str, Any],
    ) -> int:
        """Moves the messages; the server's own foreign key is asked first, since it looks every chat up anyway."""
        every = self.scheme.messages.update().where(*chosen).values(values)
        if self._server_knows_chats and not self.scheme.dialect.hashes_slowly:
            # What it refuses is a message that has come since the look: then each one is asked for by name.
            with contextlib.suppress(sa.exc.IntegrityError), connection.begin_nested():
                return changed(connection, every)
        return changed(connection, every.where(known))

    def _chat(self) -> tuple[sa.ColumnElement[str], sa.ColumnElement[bool]]:
        """The ID of a message's chat, and whether the run knows that chat.

        A message that arrived since the look may belong to one that isn't there yet: the next pass takes it.
        """
        chats = self.work.chats.c
        if not self.scheme.dialect.hashes_slowly:
            chat_id = self.scheme.group_chat_id()
            return chat_id, chat_id.in_(sa.select(chats.chat_id))
        same = [value.is_not_distinct_from(chats[key]) for key, value in self.scheme.values.items()]
        return chats.chat_id, sa.and_(*same)

    def _note_own_keys(self, connection: sa.Connection, chosen: list[sa.ColumnElement[bool]]) -> None:
        note_own_keys(self, connection, sa.and_(*chosen))

    def _note_joined(
        self, connection: sa.Connection, chat_id: sa.ColumnElement[str], chosen: list[sa.ColumnElement[bool]]
    ) -> None:
        if not self.joins:
            return
        chats = self.work.chats.c
        there: sa.ColumnElement[bool] = chat_id.in_(sa.select(chats.chat_id).where(chats.fate == JOINED))
        if self.scheme.dialect.hashes_slowly:
            # The chats are in the query already: by a list of theirs SQLite would go through the messages for each.
            there = chats.fate == JOINED
        rows = sa.select(self.scheme.id, chat_id).where(*chosen, there)
        connection.execute(self.work.joined.insert().from_select(["id", "chat_id"], rows))


class AssignAlongSpine(SpinePhase):
    """Gives each message the chat that the walk has found for its place: both in one order, merged by a window."""

    name: ClassVar[str] = "assign"
    title: ClassVar[str] = "moving messages"

    def set_aside(self, connection: sa.Connection, bounds: Position, position: Position, reason: str) -> BatchOutcome:
        """Goes past one message."""
        first = connection.execute(self._next(bounds, position, 1)).one_or_none()
        if first is None:
            return BatchOutcome(0, position, True)
        note_aside(self, connection, first.id, reason)
        return BatchOutcome(1, reached(first), False, {"set_aside": 1})

    def work_on(
        self, connection: sa.Connection, rows: sa.Select[Any], first: sa.Row[Any], last: sa.Row[Any]
    ) -> dict[str, int]:
        """Moves the messages of `rows`."""
        scheme = self.scheme
        placed = self._placed(rows, self._chats_between(connection, first, last)).subquery()
        free = sa.and_(scheme.id == placed.c.id, *self.eligible())
        self._note_joined(connection, placed, free)
        note_own_keys(self, connection, free, placed)
        values: dict[str, Any] = {
            scheme.link_key: placed.c.chat_id, **{key: scheme.values[key] for key in scheme.filled}
        }  # fmt: skip
        return {"messages_moved": changed(connection, scheme.messages.update().where(free).values(values))}

    def _note_joined(self, connection: sa.Connection, placed: sa.Subquery, free: sa.ColumnElement[bool]) -> None:
        if not self.joins:
            return
        there = sa.select(self.work.chats.c.chat_id).where(self.work.chats.c.fate == JOINED)
        rows = sa.select(self.scheme.id, placed.c.chat_id).where(free, placed.c.chat_id.in_(there))
        connection.execute(self.work.joined.insert().from_select(["id", "chat_id"], rows))

    def _chats_between(self, connection: sa.Connection, first: sa.Row[Any], last: sa.Row[Any]) -> sa.Select[Any]:
        """The chats that messages from `first` to `last` can be in."""
        chats = self.work.chats
        nearest = as_of(chats, first.digest, first.at, first.id).add_columns(chats.c.first_at).limit(1)
        beginning = connection.execute(nearest).one_or_none()
        later = chats.c.digest > first.digest
        # There is none where the application has deleted messages meanwhile.
        if beginning is not None:
            later = sa.or_(later, chats.c.first_at >= beginning.first_at)
        sooner = sa.or_(chats.c.digest < last.digest, chats.c.first_at <= last.at)
        return sa.select(
            chats.c.digest,
            chats.c.first_at.label("at"),
            chats.c.first_id.label("id"),
            sa.literal(0).label("kind"),
            chats.c.chat_id,
        ).where(chats.c.digest.between(first.digest, last.digest), later, sooner)

    def _placed(self, rows: sa.Select[Any], chats: sa.Select[Any]) -> sa.Select[Any]:
        """The messages with their chats: each has the nearest chat that begins before it, or at it."""
        taken = rows.subquery()
        nothing = sa.cast(sa.null(), sa.String(64)).label("chat_id")
        messages = sa.select(taken, sa.literal(1).label("kind"), nothing)
        merged = sa.union_all(messages, chats).subquery()
        order = (merged.c.at, merged.c.id, merged.c.kind)
        begun = sa.func.sum(1 - merged.c.kind).over(partition_by=merged.c.digest, order_by=order).label("begun")
        numbered = sa.select(merged, begun).subquery()
        chat_id = sa.func.max(numbered.c.chat_id, type_=sa.String()).over(
            partition_by=(numbered.c.digest, numbered.c.begun)
        )
        found = sa.select(numbered.c.id, numbered.c.kind, chat_id.label("chat_id")).subquery()
        return sa.select(found.c.id, found.c.chat_id).where(found.c.kind == 1)


def note_aside(phase: Phase, connection: sa.Connection, message: Any, reason: str) -> None:
    """Keeps a message that can't be moved from being tried again in this run."""
    connection.execute(phase.work.aside.insert().values(id=message, reason=reason[:REASON_LENGTH]))


def note_own_keys(
    phase: Phase, connection: sa.Connection, chosen: sa.ColumnElement[bool], source: sa.FromClause | None = None
) -> None:
    """Keeps what messages say of their keys themselves, before defaults fill in the rest: undoing needs it."""
    scheme = phase.scheme
    if not scheme.filled:
        return
    own = [scheme.messages.c[key] for key in scheme.filled]
    rows = sa.select(scheme.id, *own).where(chosen, sa.or_(*(column.is_not(None) for column in own)))
    if source is not None:
        rows = rows.select_from(scheme.messages, source)
    connection.execute(phase.work.owned.insert().from_select(["id", *scheme.filled], rows))
