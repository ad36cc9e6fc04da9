"""How far each session counter has counted, in a table beside the journal: it outlives whatever Redis forgets.

A row's lock serialises the turns of its counter. Nothing here knows Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from chatctl.domain.session_ids import Scope
from chatctl.errors import RepeatedKeyError, RetryableError
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.journal.runs import now_ms

#: How long a mark waits for others, through deadlocks and lock waits, before it gives up.
_PATIENCE_SECONDS = 60.0


class SqlHighWaterTurn:
    """One turn, inside the transaction that holds the row."""

    def __init__(self, connection: sa.Connection, table: sa.Table, counter: str) -> None:
        self._connection = connection
        self._table = table
        self._counter = counter
        row = connection.execute(sa.select(table.c.issued, table.c.fence).where(table.c.counter == counter)).one()
        self.issued: int = row.issued
        self.fence: str = row.fence

    def take(self, fence: str, issued: int) -> None:
        """From now on `fence` counts, above `issued`; holds once the turn ends without an error."""
        self.issued, self.fence = max(issued, self.issued), fence
        change = self._table.update().where(self._table.c.counter == self._counter)
        self._connection.execute(change.values(issued=self.issued, fence=fence, taken_ms=now_ms()))


class SqlHighWater:
    """The marks in `database`, among the journal's tables; `prepare` makes the table where it isn't there."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    def prepare(self) -> None:
        """Makes chatctl's own tables where they aren't there yet."""
        self._journal.ensure()

    @cached_property
    def _table(self) -> sa.Table:
        return sa.Table(
            "chatctl_high_water",
            sa.MetaData(schema=self._journal.schema),
            sa.Column("counter", sa.String(128), primary_key=True),
            sa.Column("issued", sa.BigInteger, nullable=False),
            sa.Column("fence", sa.String(64), nullable=False),
            sa.Column("turns", sa.BigInteger, nullable=False),
            sa.Column("taken_ms", sa.BigInteger, nullable=False),
        )

    def mark(self, scope: Scope, number: int, fence: str, counted: Callable[[], int]) -> bool:
        """Records that `number` is issued; False where `fence` no longer counts. Durable once it returns True.

        `counted` tells the highest number counted under `fence` so far. All of them are marked at once, so that
        of many who wait for the row one writes for everybody, and there are fewer syncs than sessions.
        """
        for attempt in self._patiently():
            with attempt:
                return self._mark(scope.name, number, fence, counted)
        raise AssertionError("tenacity re-raises")  # pragma: no cover

    def _mark(self, counter: str, number: int, fence: str, counted: Callable[[], int]) -> bool:
        table = self._table
        mine = sa.and_(table.c.counter == counter, table.c.fence == fence)
        with self._database.connect() as connection:
            issued = connection.scalar(sa.select(table.c.issued).where(mine).with_for_update())
            if issued is None or issued >= number:
                # Nothing to write: the rollback that ends this costs no sync.
                return issued is not None
            connection.execute(table.update().where(mine).values(issued=max(number, counted())))
            connection.commit()
            return True

    @contextmanager
    def turn(self, scope: Scope) -> Iterator[SqlHighWaterTurn]:
        """The turn of deciding about `scope`: the row stays locked until it ends, and others wait."""
        self._make_row(scope.name)
        table = self._table
        with self._database.begin() as connection:
            # Writing first takes the row's lock on every engine alike.
            own = table.update().where(table.c.counter == scope.name)
            connection.execute(own.values(turns=table.c.turns + 1))
            yield SqlHighWaterTurn(connection, table, scope.name)

    def issued(self) -> dict[str, int]:
        """The highest number issued, by scope name; empty where the table was never made."""
        with self._database.connect() as connection:
            if not sa.inspect(connection).has_table(self._table.name, schema=self._table.schema):
                return {}
            rows = connection.execute(sa.select(self._table.c.counter, self._table.c.issued))
            return {row.counter: row.issued for row in rows}

    def observe(self, found: Mapping[str, int]) -> None:
        """Raises the marks to numbers that were found issued, by scope name."""
        for counter, number in found.items():
            self._make_row(counter)
            for attempt in self._patiently():
                with attempt, self._database.begin() as connection:
                    behind = sa.and_(self._table.c.counter == counter, self._table.c.issued < number)
                    connection.execute(self._table.update().where(behind).values(issued=number))

    def observe_within(self, connection: sa.Connection, found: Mapping[str, int]) -> None:
        """The same in a transaction of the caller's, which locks no mark that is as high already."""
        column = self._table.c
        query = sa.select(column.counter, column.issued).where(column.counter.in_(sorted(found)))
        known = {row.counter: row.issued for row in connection.execute(query)}
        for counter, number in sorted(found.items()):
            if counter not in known:
                row = self._table.insert().values(counter=counter, issued=number, fence="", turns=0, taken_ms=0)
                with suppress(RepeatedKeyError), self._database.savepoint(connection):
                    connection.execute(row)
                    continue
            if known.get(counter, 0) < number:
                behind = sa.and_(column.counter == counter, column.issued < number)
                connection.execute(self._table.update().where(behind).values(issued=number))

    def _make_row(self, counter: str) -> None:
        table = self._table
        with self._database.connect() as connection:
            if connection.scalar(sa.select(table.c.counter).where(table.c.counter == counter)):
                return
        row = table.insert().values(counter=counter, issued=0, fence="", turns=0, taken_ms=0)
        for attempt in self._patiently():
            # Another process may make it in between, which is as good.
            with attempt, suppress(RepeatedKeyError), self._database.begin() as connection:
                connection.execute(row)

    @staticmethod
    def _patiently() -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(RetryableError),
            stop=stop_after_delay(_PATIENCE_SECONDS),
            wait=wait_random_exponential(multiplier=0.01, max=0.5),
            reraise=True,
        )
