"""What will be left once regroupings have been undone, counted in SQL before anything is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.regroup.scheme import LAST, Scheme
from chatctl.stores.sql.regroup.settle import actual
from chatctl.stores.sql.regroup.undoing import alterations
from chatctl.stores.sql.regroup.worktables import JOINED, MADE, WorkTables


@dataclass(frozen=True)
class Undoable:
    """A run that is to be undone: what its columns mean, and its records."""

    scheme: Scheme
    work: WorkTables


class Foreseen:
    """The rows and values that stay when `runs`, the newest first, are undone in that order."""

    def __init__(self, connection: sa.Connection, runs: Sequence[Undoable]) -> None:
        self._connection = connection
        self._runs = runs

    def left(self, table: str, column: str | None, now: int) -> int:
        """How many rows of `table` (of a column: how many values) will be left of the `now` that are there."""
        if not self._runs:
            return now
        scheme = self._runs[0].scheme
        if column is None:
            return now - self._rows_taken(scheme, table)
        if table != scheme.messages.name:
            return now
        if column == scheme.link.name:
            return self._count(sa.select(sa.func.count()).where(scheme.link.is_not(None), ~self._freed(scheme)))
        keys = [key for key in scheme.filled if scheme.messages.c[key].name == column]
        return self._filled_left(scheme, keys[0]) if keys else now

    def _rows_taken(self, scheme: Scheme, table: str) -> int:
        if table == scheme.chats.name:
            removed = self._removed().subquery()
            return self._count(sa.select(sa.func.count()).select_from(removed))
        return sum(
            self._companions_taken(scheme, entity)
            for entity in dict.fromkeys(found.entity for found in scheme.companions)
            if scheme.tables[entity].name == table
        )

    def _removed(self) -> Any:
        """The chats that go: made by a run, and not written to since."""
        return sa.union_all(*(self._removed_by(place) for place in range(len(self._runs))))

    def _removed_by(self, place: int) -> sa.Select[Any]:
        run = self._runs[place]
        scheme, work = run.scheme, run.work.chats
        now = actual(scheme).subquery()
        source: Any = work.join(scheme.chats, scheme.chat_id == work.c.chat_id)
        source = source.outerjoin(now, now.c.chat_id == work.c.chat_id)
        messages: Any = sa.func.coalesce(now.c.messages, 0)
        last_at: Any = now.c.last_at
        clocks: dict[str, Any] = {key: scheme.chats.c[key] for key in LAST if key in scheme.chats.c}
        for newer in self._runs[:place]:
            theirs, joined = newer.work.chats.alias(), newer.work.joined
            counted = (
                sa.select(joined.c.chat_id, sa.func.count().label("messages")).group_by(joined.c.chat_id).subquery()
            )
            source = source.outerjoin(
                theirs, sa.and_(theirs.c.chat_id == work.c.chat_id, theirs.c.fate == JOINED)
            ).outerjoin(counted, counted.c.chat_id == work.c.chat_id)
            messages = messages - sa.func.coalesce(counted.c.messages, 0)
            last_at = sa.case((counted.c.chat_id.is_(None), last_at))
            for key in list(clocks)[:1]:
                given_back = sa.and_(theirs.c.last_at == clocks[key], theirs.c.last_before.is_not(None))
                clocks[key] = sa.case((given_back, theirs.c.last_before), else_=clocks[key])
        grown = [messages > work.c.messages, sa.func.coalesce(last_at > work.c.last_at, sa.false())]
        written_to = sa.or_(*grown, *alterations(scheme, run.work, list(clocks.values())))
        return sa.select(work.c.chat_id).select_from(source).where(work.c.fate == MADE, ~written_to)

    def _freed(self, scheme: Scheme) -> sa.ColumnElement[bool]:
        """Whether a message leaves its chat."""
        ways: list[sa.ColumnElement[bool]] = [scheme.link.in_(sa.select(self._removed().subquery().c.chat_id))]
        for run in self._runs:
            joined, theirs = run.work.joined, run.work.chats
            there = sa.select(theirs.c.chat_id).where(theirs.c.fate == JOINED)
            ways.append(sa.and_(scheme.id.in_(sa.select(joined.c.id)), scheme.link.in_(there)))
        return sa.or_(*ways)

    def _filled_left(self, scheme: Scheme, key: str) -> int:
        column, freed = scheme.messages.c[key], self._freed(scheme)
        kept = [
            sa.exists().where(run.work.owned.c.id == scheme.id, run.work.owned.c[key].is_not(None))
            for run in self._runs
            if key in run.scheme.filled
        ]
        stays = sa.or_(~sa.and_(scheme.link.is_not(None), freed), *kept)
        return self._count(sa.select(sa.func.count()).where(column.is_not(None), stays))

    def _companions_taken(self, scheme: Scheme, entity: str) -> int:
        chats, removed = scheme.chats, self._removed().subquery()
        taken = []
        for found in scheme.companions:
            if found.entity != entity:
                continue
            column = scheme.tables[entity].c[found.column]
            made = sa.union(*(self._made(run, entity) for run in self._runs)).subquery()
            needed: Any = sa.false()
            if found.key in chats.c:
                stays = scheme.chat_id.not_in(sa.select(removed.c.chat_id))
                needed = sa.exists().where(chats.c[found.key] == column, stays)
            as_text = scheme.dialect.as_text(column)
            taken.append(sa.select(column).where(as_text.in_(sa.select(made.c.value)), ~needed))
        return self._count(sa.select(sa.func.count()).select_from(sa.union(*taken).subquery())) if taken else 0

    @staticmethod
    def _made(run: Undoable, entity: str) -> sa.Select[Any]:
        made = run.work.companions.c
        return sa.select(made.value).where(made.entity == entity)

    def _count(self, query: sa.Select[Any]) -> int:
        return int(self._connection.scalar(query) or 0)
