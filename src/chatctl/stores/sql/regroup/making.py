"""Makes the chats of a run, and the rows that chats must be able to refer to."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import KeyRange, whole
from chatctl.stores.sql.regroup.phase import ChatPhase, Phase, changed
from chatctl.stores.sql.regroup.scheme import FIRST, LAST, Companion
from chatctl.stores.sql.regroup.worktables import JOINED, MADE


class MakeCompanions(Phase):
    """A row for each user, mentor or project that a chat will refer to and that has none.

    One statement for each entity: it reads only the run's own chats.
    """

    name: ClassVar[str] = "companions"
    title: ClassVar[str] = "making owners that are missing"
    unit: ClassVar[str] = "rows"

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """All at once."""
        return [whole()]

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Makes what is missing of every entity."""
        made = {f"made_{found.entity}": self._make(connection, found) for found in self.scheme.companions}
        self._note_names(connection)
        return BatchOutcome(sum(made.values()), {}, True, made)

    def _note_names(self, connection: sa.Connection) -> None:
        """What mentors are called now, since an undo asks whether somebody has given a chat another title."""
        mentors = self.scheme.mentors
        if mentors is None:
            return
        names, chats = self.work.names, self.work.chats.c
        wanted = sa.exists().where(chats.round == self.round, chats.mentor_id == mentors.c.id)
        known = sa.exists().where(names.c.id == mentors.c.id)
        rows = sa.select(mentors.c.id, mentors.c.name).where(wanted, ~known)
        connection.execute(names.insert().from_select(["id", "name"], rows))

    def _make(self, connection: sa.Connection, found: Companion) -> int:
        table = self.scheme.tables[found.entity]
        missing = self._missing(table, found).subquery()
        as_text = self.scheme.dialect.as_text(missing.c.value)
        noted = sa.select(sa.literal(found.entity), as_text)
        connection.execute(self.work.companions.insert().from_select(["entity", "value"], noted))
        times = dict.fromkeys(FIRST, missing.c.first_at) | dict.fromkeys(LAST, missing.c.last_at)
        columns = {found.column: missing.c.value} | {key: at for key, at in times.items() if key in table.c}
        rows = sa.select(*columns.values()).order_by(missing.c.first_at, missing.c.value)
        return changed(connection, table.insert().from_select(list(columns), rows, include_defaults=False))

    def _missing(self, table: sa.Table, found: Companion) -> sa.Select[Any]:
        chats = self.work.chats.c
        there = sa.exists().where(table.c[found.column] == chats[found.key])
        return (
            sa.select(
                chats[found.key].label("value"),
                sa.func.min(chats.first_at, type_=chats.first_at.type).label("first_at"),
                sa.func.max(chats.last_at, type_=chats.last_at.type).label("last_at"),
            )
            .where(chats.round == self.round, chats[found.key].is_not(None), ~there)
            .group_by(chats[found.key])
        )


class MakeChats(ChatPhase):
    """A chat for each one that this pass has found, unless it is there already."""

    name: ClassVar[str] = "chats"
    title: ClassVar[str] = "making chats"

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Makes the next `size` chats, in the order of their IDs."""
        chats = self.work.chats.c
        step = KeyRange(chats.chat_id, [chats.round == self.round]).step(connection, bounds, position, size)
        counts = {}
        if step.rows:
            within = sa.and_(step.within, chats.round == self.round)
            joined = self._note_those_there(connection, within)
            made = self._make(connection, sa.and_(within, chats.fate == MADE))
            counts = {"chats_created": made, "chats_joined": joined}
        return BatchOutcome(step.rows, {"after": step.upper}, step.last, counts)

    def _note_those_there(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> int:
        work, scheme = self.work.chats, self.scheme
        clock = next((scheme.chats.c[key] for key in LAST if key in scheme.chats.c), sa.null())
        same = scheme.chat_id == work.c.chat_id
        return changed(
            connection,
            work.update()
            .where(within, sa.exists().where(same))
            .values(fate=JOINED, last_before=sa.select(clock).where(same).scalar_subquery()),
        )

    def _make(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> int:
        work, scheme = self.work.chats, self.scheme
        values = {key: work.c[key] for key in scheme.grouping.by}
        mentors = scheme.mentors
        columns: dict[str, Any] = {
            scheme.chat_key: work.c.chat_id,
            **{key: value for key, value in values.items() if key in scheme.chats.c},
            **{key: work.c.first_at for key in FIRST if key in scheme.chats.c},
            **{key: work.c.last_at for key in LAST if key in scheme.chats.c},
            **{key: sa.literal(value, scheme.chats.c[key].type) for key, value in scheme.chat_literals().items()},
        }
        title = scheme.title(values, mentors.c.name if mentors is not None else None)
        if title is not None:
            columns["title"] = title
        source: Any = work
        if mentors is not None:
            source = work.outerjoin(mentors, mentors.c.id == work.c.mentor_id)
        rows = sa.select(*columns.values()).select_from(source).where(within).order_by(work.c.chat_id)
        made = scheme.chats.insert().from_select(list(columns), rows, include_defaults=False)
        return changed(connection, made)
