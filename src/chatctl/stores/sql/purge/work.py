"""Purge as work for the batch mechanism: choose, lock, look again, archive, delete, in one transaction."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import to_epoch_ms
from chatctl.domain.retention import Holds
from chatctl.domain.session_ids import highest_numbers
from chatctl.errors import DatabaseError, RetryableError
from chatctl.observe.fail_points import fail_point
from chatctl.stores.sql.batches.work import BatchOutcome, Position
from chatctl.stores.sql.dialects import Dialect
from chatctl.stores.sql.high_water import SqlHighWater
from chatctl.stores.sql.purge.archives import Archives, Place
from chatctl.stores.sql.purge.conversations import Conversations, Part, matching
from chatctl.stores.sql.purge.eligibility import Eligibility, Selection
from chatctl.stores.sql.purge.holds import HoldStore, chat_key
from chatctl.stores.sql.purge.records import Header, RowReader, belonging, decoded, encoded
from chatctl.stores.sql.purge.shares import inside
from chatctl.stores.sql.session_archive import SessionArchive

Operator = Callable[[Any, Any], Any]

#: What an erasure or a purge may find in one batch, so that one statement takes all of their keys.
LARGEST_BATCH = 5_000
_MOST_SET_ASIDE = 20


@dataclass(frozen=True)
class Candidate:
    """One conversation that may go: its primary key, its place in the order, and its account."""

    key: tuple[Any, ...]
    place: tuple[Any, ...]
    account: str | None

    @property
    def name(self) -> str:
        """One text for its primary key."""
        return chat_key(self.key)


@dataclass(frozen=True)
class Tools:
    """What a purge works with."""

    dialect: Dialect
    holds: HoldStore
    archives: Archives
    high_water: SqlHighWater

    def remember_numbers(self, connection: sa.Connection, ids: Iterable[str]) -> None:
        """Marks the numbers of sessions as issued: once these are gone nothing else may bear witness to them."""
        if found := highest_numbers(ids):
            self.high_water.observe_within(connection, found)


class PurgeWork:
    """Deletes what `selection` selects, archived in `place` first (None: not at all), at most `limit` conversations."""

    def __init__(
        self,
        conversations: Conversations,
        selection: Selection,
        tools: Tools,
        run_id: str,
        place: Place | None,
        limit: int | None = None,
    ) -> None:
        self._on = conversations
        self._selection = selection
        self._tools = tools
        self._run_id = run_id
        self._place = place
        self._limit = limit
        self._eligibility = Eligibility(conversations, selection, tools.dialect)
        # Without the clock's condition some have no clock at all, and a null has no place in an order.
        self._order = conversations.what.primary_key if selection.everything else conversations.order
        self._reader = RowReader(conversations, tools.dialect)
        sessions = SessionArchive.record_of(conversations.layout)
        self._numbered = sessions is not None and sessions[0] == conversations.what.key
        self._pending: Mapping[str, int] = {}
        self._deleting = 0
        self._any_restored: bool | None = None
        #: Conversations deleted by this worker.
        self.deleted = 0
        #: What the database didn't let go.
        self.set_aside_names: list[str] = []
        #: Deleted ones by account.
        self.by_account: Counter[str] = Counter()

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Deletes about `size` conversations from `position` on."""
        done, number = position.get("deleted", 0), (position.get("number") or bounds.get("number") or 0) + 1
        wanted = min(size, LARGEST_BATCH, *([self._limit - done] if self._limit is not None else []))
        now_ms = to_epoch_ms(self._selection.now)
        holds = self._tools.holds.in_force(connection, now_ms)
        free = sa.not_(self._eligibility.held(holds))
        condition = sa.and_(self._eligibility.condition, free)
        own = sa.and_(self._eligibility.by_own_row, free, inside(self._on, bounds))
        found = self.candidates(connection, own, position, wanted)
        victims = self.still_eligible(connection, condition, self._not_restored(connection, found, now_ms))
        counts = self._delete(connection, victims, number, self._in_few_words(found, victims, holds))
        deleted = done + len(victims)
        finished = wanted > 0 and (len(found) < wanted or (self._limit is not None and deleted >= self._limit))
        # A place bears a conversation's key: it stays in the journal no longer than somebody has to go on from there.
        after = {} if finished else self.position_after(found[-1]) if found else position
        self._deleting = len(victims)
        self._pending = Counter(victim.account for victim in victims if victim.account is not None)
        return BatchOutcome(len(victims), {**after, "deleted": deleted, "number": number}, finished, counts)

    def set_aside(self, connection: sa.Connection, bounds: Position, position: Position, reason: str) -> BatchOutcome:
        """Goes past one conversation that the database doesn't let go; raises DatabaseError where there are too many.

        What few are refused for is theirs. What many are refused for is the database's, and needs somebody, as does
        whatever keeps an erasure from its end.
        """
        if self._selection.everything or len(self.set_aside_names) >= _MOST_SET_ASIDE:
            raise DatabaseError(reason)
        self._deleting, self._pending = 0, {}
        holds = self._tools.holds.in_force(connection, to_epoch_ms(self._selection.now))
        free = sa.not_(self._eligibility.held(holds))
        own = sa.and_(self._eligibility.by_own_row, free, inside(self._on, bounds))
        found = self.candidates(connection, own, position, 1)
        kept = {key: value for key, value in position.items() if key != "place"}
        if not found:
            return BatchOutcome(0, kept, True)
        self.set_aside_names.append(found[0].name)
        return BatchOutcome(0, {**kept, **self.position_after(found[0])}, False, {"set_aside": 1})

    def committed(self, position: Position) -> None:
        """Counts what is gone."""
        self.deleted += self._deleting
        self._deleting = 0
        self.by_account.update(self._pending)
        self._pending = {}

    def candidates(
        self, connection: sa.Connection, condition: sa.ColumnElement[bool], position: Position, size: int
    ) -> list[Candidate]:
        """The next conversations in the order that may go, locked by nobody."""
        order = [sa.type_coerce(column, sa.types.NullType()) for column in self._order]
        where = [condition]
        place = decoded(position["place"]) if position.get("place") else []
        # An index on the clock that came or went since means another order: what is gone needn't be walked past.
        if len(place) == len(order):
            where.append(_after(order, place))
        query = self._query(order).where(*where).order_by(*order).limit(size)
        return [self._candidate(row, len(order)) for row in connection.execute(query)]

    @staticmethod
    def position_after(candidate: Candidate) -> Position:
        """Where the walk stands behind `candidate`."""
        return {"place": encoded(list(candidate.place))}

    def still_eligible(
        self, connection: sa.Connection, condition: sa.ColumnElement[bool], chosen: Sequence[Candidate]
    ) -> list[Candidate]:
        """Locks what was chosen, then asks again: whatever was read, written or held meanwhile stays.

        Two statements, since one that waits for a lock goes on with what it had read of other tables before.
        """
        if not chosen:
            return []
        primary_key = self._on.what.primary_key
        # By their place in the order rather than by their keys: thousands of keys take a while to send and to read.
        span = self._span(chosen)
        locking = sa.select(*primary_key).where(span, self._eligibility.by_own_row).with_for_update().subquery()
        connection.execute(sa.select(sa.func.count()).select_from(locking))
        fail_point("purge.locked")
        left = {tuple(row) for row in connection.execute(sa.select(*primary_key).where(span, condition))}
        return [candidate for candidate in chosen if candidate.key in left]

    def _in_few_words(
        self, found: Sequence[Candidate], victims: Sequence[Candidate], holds: Holds
    ) -> sa.ColumnElement[bool] | None:
        """What is true of `victims` alone, without naming each; None where it takes their names."""
        if not found or len(victims) != len(found):
            return None
        asks_children = self._on.user is None and (self._selection.user is not None or "user" in holds.values)
        # The children are gone by then.
        if asks_children:
            return None
        return sa.and_(self._span(found), self._eligibility.by_own_row, sa.not_(self._eligibility.held(holds)))

    def _span(self, chosen: Sequence[Candidate]) -> sa.ColumnElement[bool]:
        """Whatever stands between the first and the last of `chosen` in the order."""
        order = [sa.type_coerce(column, sa.types.NullType()) for column in self._order]
        return sa.and_(
            _reaching(order, chosen[0].place, operator.gt, operator.ge),
            _reaching(order, chosen[-1].place, operator.lt, operator.le),
        )

    def _not_restored(self, connection: sa.Connection, found: Sequence[Candidate], now_ms: int) -> Sequence[Candidate]:
        holds = self._tools.holds
        if self._any_restored is None:
            # Restores take the same lock as purges: none comes in between.
            self._any_restored = holds.any_exempted(connection, now_ms)
        if self._selection.everything or not self._any_restored:
            return found
        exempted = holds.exempted(connection, [candidate.name for candidate in found], now_ms)
        return [candidate for candidate in found if candidate.name not in exempted]

    def _query(self, order: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
        account = self._on.account
        shown = sa.literal(None) if account is None else account
        return sa.select(*order, *self._on.what.primary_key, shown.label("account"))

    def _candidate(self, row: sa.Row[Any], width: int) -> Candidate:
        values = tuple(row)
        account = values[-1]
        return Candidate(values[width:-1], values[:width], None if account is None else str(account))

    def _delete(
        self,
        connection: sa.Connection,
        victims: Sequence[Candidate],
        number: int,
        where: sa.ColumnElement[bool] | None = None,
    ) -> dict[str, int]:
        """Archives and deletes `victims`; `where` says the same of them in few words, if anything does."""
        if not victims:
            return {}
        keys = [victim.key for victim in victims]
        if self._numbered:
            self._tools.remember_numbers(connection, (str(key[0]) for key in keys))
        archived = self._archive(connection, keys, number)
        counts = {f"deleted_{part.key}": self._delete_children(connection, part, keys) for part in self._deepest_first}
        what = self._on.what
        by_key = matching(what.primary_key, keys) if where is None else where
        with self._tools.dialect.children_gone(connection, what.table, self._on.single_joins):
            gone = connection.execute(what.table.delete().where(by_key)).rowcount
        counts["deleted"] = gone
        # The victims are locked: where as many rows went, they are those.
        if gone != len(victims):
            raise RetryableError(f"{len(victims)} conversations were locked, and {gone} were there to delete.")
        if archived is not None:
            if archived != gone + sum(count for name, count in counts.items() if name != "deleted"):
                raise RetryableError("Rows came between the archive and the deletion of their conversations.")
            counts |= {"archived": gone}
        return counts

    @property
    def _deepest_first(self) -> list[Part]:
        return list(reversed(self._on.children))

    def _delete_children(self, connection: sa.Connection, child: Part, keys: Sequence[tuple[Any, ...]]) -> int:
        theirs = belonging(self._on, connection, child, keys)
        if self._tools.dialect.clustered and len(child.primary_key) == 1:
            theirs = sa.and_(theirs, self._stretch(connection, child.primary_key[0], theirs))
        return connection.execute(child.table.delete().where(theirs)).rowcount

    @staticmethod
    def _stretch(
        connection: sa.Connection, key: sa.Column[Any], theirs: sa.ColumnElement[bool]
    ) -> sa.ColumnElement[bool]:
        """Where the rows lie: true of each of them, and the server may walk it if they lie close together."""
        bare = sa.type_coerce(key, sa.types.NullType())
        first, last = connection.execute(sa.select(sa.func.min(bare), sa.func.max(bare)).where(theirs)).one()
        return sa.false() if first is None else bare.between(first, last)

    def _archive(self, connection: sa.Connection, keys: Sequence[tuple[Any, ...]], number: int) -> int | None:
        if self._place is None:
            return None
        lines = self._lines(connection, keys, number)
        return self._tools.archives.write(connection, self._run_id, number, self._place, lines, len(keys)).row_count

    def _lines(self, connection: sa.Connection, keys: Sequence[tuple[Any, ...]], number: int) -> Iterator[str]:
        yield Header(self._on.layout.name, self._run_id, number, self._reader.tables()).line()
        for record in self._reader.records(connection, keys):
            yield record.line()


def _after(order: Sequence[sa.ColumnElement[Any]], place: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Rows behind `place`."""
    return _reaching(order, place, operator.gt, operator.gt)


def _reaching(
    order: Sequence[sa.ColumnElement[Any]], place: Sequence[Any], beyond: Operator, at_last: Operator
) -> sa.ColumnElement[bool]:
    """Rows on one side of `place`; `at_last` says whether a row right there counts.

    The first column's own range stands in front, for an index to begin with.
    """
    sides: list[sa.ColumnElement[bool]] = []
    for depth in range(len(order)):
        equal = [column == value for column, value in zip(order[:depth], place[:depth], strict=True)]
        compare = at_last if depth == len(order) - 1 else beyond
        sides.append(sa.and_(*equal, compare(order[depth], place[depth])))
    inclusive = operator.ge if beyond is operator.gt else operator.le
    return sa.and_(inclusive(order[0], place[0]), sa.or_(*sides))
