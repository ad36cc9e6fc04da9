"""Takes a run back: its references and its chats, and nothing that the application has made or changed since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import KeyRange, between, slices_of, whole
from chatctl.stores.sql.regroup.phase import ChatPhase, Phase, changed
from chatctl.stores.sql.regroup.scheme import LAST, Scheme
from chatctl.stores.sql.regroup.settle import actual
from chatctl.stores.sql.regroup.titles import first_line
from chatctl.stores.sql.regroup.worktables import JOINED, KEPT, MADE, WorkTables


class UndoPhase(Phase):
    """What the phases of taking chats back have in common.

    A chat that the application has written to since is kept whole, with its messages.
    """

    def _is_made(self) -> sa.Select[Any]:
        work = self.work.chats.c
        return sa.select(work.chat_id).where(work.fate == MADE)

    def _keep(self, connection: sa.Connection, within: sa.ColumnElement[bool], *signs: sa.ColumnElement[bool]) -> int:
        """Keeps the chats of the range that any of `signs` is true of."""
        work = self.work.chats
        kept = list(connection.scalars(self._is_made().where(within, sa.or_(*signs))))
        if kept:
            connection.execute(work.update().where(work.c.chat_id.in_(kept)).values(fate=KEPT))
        return len(kept)

    def _altered(self, *, titles: bool = True) -> sa.ColumnElement[bool]:
        signs = alterations(self.scheme, self.work, titles=titles)
        return sa.exists().where(self.scheme.chat_id == self.work.chats.c.chat_id, sa.or_(*signs))

    def _free(self, connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> int:
        scheme = self.scheme
        nothing = {scheme.link_key: None, **dict.fromkeys(scheme.filled)}
        if not scheme.filled:
            return changed(connection, scheme.messages.update().where(chosen).values(nothing))
        self._give_own_keys_back(connection, chosen)
        unknown = scheme.id.not_in(sa.select(self.work.owned.c.id))
        freed = changed(connection, scheme.messages.update().where(chosen, unknown).values(nothing))
        return freed + changed(connection, scheme.messages.update().where(chosen).values({scheme.link_key: None}))

    def _give_own_keys_back(self, connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> None:
        scheme, owned = self.scheme, self.work.owned.c
        same = scheme.id == owned.id
        values = {key: sa.select(owned[key]).where(same).scalar_subquery() for key in scheme.filled}
        known = scheme.id.in_(sa.select(owned.id))
        connection.execute(scheme.messages.update().where(chosen, known).values(values))


class LookAtChats(ChatPhase, UndoPhase):
    """Finds the chats that the application has written to, by ranges of chat IDs."""

    name: ClassVar[str] = "undo-look"
    title: ClassVar[str] = "looking at chats"

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Looks at the next `size` chats."""
        work = self.work.chats.c
        step = KeyRange(work.chat_id).step(connection, bounds, position, size)
        counts = {}
        if step.rows:
            after = position.get("after", bounds["after"])
            now = actual(self.scheme, between(self.scheme.link, after, step.upper)).subquery()
            more = sa.or_(now.c.messages > work.messages, now.c.last_at > work.last_at)
            grown = sa.exists().where(now.c.chat_id == work.chat_id, more)
            counts = {"chats_kept": self._keep(connection, step.within, grown, self._altered())}
        return BatchOutcome(step.rows, {"after": step.upper}, step.last, counts)


class FreeMessages(UndoPhase):
    """Frees the messages of the run's chats in the order of their own keys: a chat's lie all over the table."""

    name: ClassVar[str] = "undo-free"
    title: ClassVar[str] = "freeing messages"

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """Slices of the messages' keys."""
        parts = slices_of(connection, self.scheme.dialect, self.scheme.messages)
        return KeyRange(self.scheme.id).slices(connection, parts)

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Frees those of the next `size` messages that the run has put into its chats."""
        scheme, freed, work = self.scheme, self.work.freed, self.work.chats.c
        scheme.dialect.prefer_indexes(connection)
        step = KeyRange(scheme.id).step(connection, bounds, position, size)
        counts = {}
        if step.rows:
            # What came since stays, and with it its chat.
            same = [work.chat_id == scheme.link_by_row(), work.fate == MADE, scheme.at <= work.last_at]
            chosen = sa.and_(step.within, sa.exists().where(*same))
            # An undo that was given up may have freed some before.
            known = sa.exists().where(freed.c.id == scheme.id)
            rows = sa.select(scheme.id, scheme.link).where(chosen, ~known)
            connection.execute(freed.insert().from_select(["id", "chat_id"], rows))
            counts = {"messages_freed": self._free(connection, chosen)}
        return BatchOutcome(step.rows, {"after": step.upper}, step.last, counts)


class TakeBackChats(ChatPhase, UndoPhase):
    """Deletes the run's chats, which are empty now, by ranges of chat IDs; keeps what was written to meanwhile."""

    name: ClassVar[str] = "undo"
    title: ClassVar[str] = "taking chats back"
    first_batch: int = 1_000

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Takes the next `size` chats back."""
        scheme, work = self.scheme, self.work.chats.c
        step = KeyRange(work.chat_id).step(connection, bounds, position, size)
        counts = {}
        if step.rows:
            after = position.get("after", bounds["after"])
            # The bounds as well: MariaDB would look for the chats of the list in the whole table.
            chosen = [
                *between(scheme.chat_id, after, step.upper),
                scheme.chat_id.in_(self._is_made().where(step.within)),
            ]
            locked = sa.select(scheme.chat_id).where(*chosen).with_for_update().subquery()
            # From here on no message can be put into one of them.
            connection.execute(sa.select(sa.func.count()).select_from(locked))
            kept = self._keep(connection, step.within, self._has_messages(after, step.upper), self._was_altered())
            freed = self._free_joined(connection, step.within)
            with scheme.dialect.children_gone(connection, scheme.chats, [(scheme.link, scheme.chat_id)]):
                deleted = changed(connection, scheme.chats.delete().where(*chosen))
            counts = {"messages_freed": freed, "chats_deleted": deleted, "chats_kept": kept}
        return BatchOutcome(step.rows, {"after": step.upper}, step.last, counts)

    def _has_messages(self, after: Any, upto: Any) -> sa.ColumnElement[bool]:
        inside = between(self.scheme.link, after, upto)
        return sa.exists().where(self.scheme.link == self.work.chats.c.chat_id, *inside)

    def _was_altered(self) -> sa.ColumnElement[bool]:
        # What a title was made of is gone where it was the first message.
        return self._altered(titles=self.scheme.grouping.title != "first-message")

    def _free_joined(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> int:
        """Messages that the run added to chats which were there before go; those chats get their time back."""
        work, scheme, joined = self.work.chats.c, self.scheme, self.work.joined.c
        there = sa.select(work.chat_id).where(within, work.fate == JOINED)
        if connection.execute(there.limit(1)).first() is None:
            return 0
        added = sa.select(joined.id).where(joined.chat_id.in_(there))
        freed = self._free(connection, sa.and_(scheme.id.in_(added), scheme.link.in_(there)))
        for clock in (scheme.chats.c[key] for key in LAST if key in scheme.chats.c):
            same = scheme.chat_id == work.chat_id
            untouched = sa.and_(work.fate == JOINED, clock == work.last_at, work.last_before.is_not(None))
            before = scheme.chats.update().where(same, within, untouched).values({clock: work.last_before})
            connection.execute(before)
            break
        return freed


class GiveBackMessages(UndoPhase):
    """Gives chats that were kept after all their messages back."""

    name: ClassVar[str] = "undo-give-back"
    title: ClassVar[str] = "giving messages back"

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """Slices of the freed messages' keys, if any chat was kept that had been emptied."""
        if connection.execute(self._theirs().limit(1)).first() is None:
            return []
        return [whole()]

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Gives the next `size` messages back that nobody has put elsewhere meanwhile."""
        scheme, freed = self.scheme, self.work.freed.c
        step = KeyRange(freed.id, [freed.chat_id.in_(self._kept())]).step(connection, bounds, position, size)
        counts = {}
        if step.rows:
            theirs = self._theirs().where(step.within)
            link = sa.select(freed.chat_id).where(freed.id == scheme.id).scalar_subquery()
            values = {scheme.link_key: link, **{key: scheme.values[key] for key in scheme.filled}}
            given = scheme.messages.update().where(scheme.id.in_(theirs), scheme.link.is_(None)).values(values)
            counts = {"messages_freed": -changed(connection, given)}
        return BatchOutcome(step.rows, {"after": step.upper}, step.last, counts)

    def _kept(self) -> sa.Select[Any]:
        work = self.work.chats.c
        return sa.select(work.chat_id).where(work.fate == KEPT)

    def _theirs(self) -> sa.Select[Any]:
        freed = self.work.freed.c
        return sa.select(freed.id).where(freed.chat_id.in_(self._kept()))


class TakeBackCompanions(Phase):
    """Deletes the users, mentors and projects that the run made and that nothing refers to any more."""

    name: ClassVar[str] = "companions"
    title: ClassVar[str] = "taking owners back"
    unit: ClassVar[str] = "rows"

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """All at once: these are few beside the messages."""
        return [whole()]

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Deletes what is no longer needed."""
        rows = 0
        made = self.work.companions.c
        for found in self.scheme.companions:
            column = self.scheme.tables[found.entity].c[found.column]
            chats = self.scheme.chats
            values = sa.select(made.value).where(made.entity == found.entity)
            needed = sa.exists().where(chats.c[found.key] == column) if found.key in chats.c else sa.false()
            as_text = self.scheme.dialect.as_text(column)
            gone = column.table.delete().where(as_text.in_(values), ~needed)
            rows += changed(connection, gone)
        return BatchOutcome(rows, {}, True, {"companions_deleted": rows})


def alterations(
    scheme: Scheme, work: WorkTables, clocks: Sequence[sa.ColumnElement[Any]] | None = None, *, titles: bool = True
) -> list[sa.ColumnElement[bool]]:
    """What tells that a chat's row is no longer as the run made it, for a join of chats and the run's own.

    A clock, or the title and the other values: not every application moves its clock. `clocks` are the chat's own if
    they are not given; `titles` can be left out.
    """
    chats, made = scheme.chats.c, work.chats.c
    if clocks is None:
        clocks = [chats[key] for key in LAST if key in chats]
    found = [clock > made.last_at for clock in clocks]
    for key, value in scheme.chat_literals().items():
        found.append(chats[key].is_distinct_from(sa.literal(value, chats[key].type)))
    if titles and "title" in chats:
        exact = scheme.dialect.exact
        found.append(exact(chats.title).is_distinct_from(exact(sa.type_coerce(_title(scheme, work), sa.String()))))
    return found or [sa.false()]


def _title(scheme: Scheme, work: WorkTables) -> Any:
    """The title that the run has given a chat."""
    if scheme.grouping.title == "first-message":
        return first_line(scheme).correlate(scheme.chats).scalar_subquery()
    made, name = work.chats.c, None
    if scheme.mentors is not None:
        names = work.names.c
        name = sa.select(names.name).where(names.id == made.mentor_id).correlate(work.chats).scalar_subquery()
    title = scheme.title({key: made[key] for key in scheme.grouping.by}, name)
    return sa.null() if title is None else title


def still_linked(connection: sa.Connection, scheme: Scheme, chats: sa.Table) -> int:
    """Messages that are still in a chat of the run that was to be taken back."""
    own = sa.select(chats.c.chat_id).where(chats.c.fate == MADE)
    return int(connection.scalar(sa.select(sa.func.count()).where(scheme.link.in_(own))) or 0)
