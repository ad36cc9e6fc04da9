"""What chatctl asks of an engine. Every difference between engines is an attribute or a method of this class.

The contract suite (tests/contract) runs unchanged against every dialect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.errors import ChatctlError
from chatctl.stores.sql.dialects.gentle import Manners, NoManners
from chatctl.stores.sql.dialects.measuring import Gauge
from chatctl.stores.sql.dialects.references import Joins
from chatctl.stores.sql.dialects.scratch import Scratch
from chatctl.stores.sql.dialects.sessions import NoSessions, Sessions
from chatctl.stores.sql.types import EpochTime, UtcDateTime

#: Where a contract revision keeps the definitions of the columns that it drops, for the way back.
KEPT_COLUMNS = "chatctl_kept_columns"

#: Execution options of a connection that will not write, for an engine where writers take turns from their first read.
READS_ONLY = {"chatctl_reads_only": True}

#: What an upsert makes of the row that is there and the new one: the values of the columns to change.
Merge = Callable[[Any, Any], dict[str, sa.ColumnElement[Any]]]


@dataclass(frozen=True)
class TableSize:
    """How large a table is, by the server's own statistics: an estimate, except on SQLite."""

    rows: int
    bytes: int


class Dialect(ABC):
    """One engine's ways."""

    #: The engine's name in chatctl's output: `sqlite`, `mariadb`, `mysql`, `postgresql`.
    name: ClassVar[str]
    title: ClassVar[str]
    #: What SQLAlchemy and Alembic call the engine.
    alembic_name: ClassVar[str]
    #: Whether DDL rolls back with its transaction.
    transactional_ddl: ClassVar[bool] = False
    #: Whether the journal's tables may live in a schema of their own.
    has_schemas: ClassVar[bool] = True
    #: Whether the operating system frees the lock of a dead holder, so that no lease is needed beside it.
    locks_die_with_holder: ClassVar[bool] = False
    #: Whether looking a value up in an index is faster than computing its MD5.
    hashes_slowly: ClassVar[bool] = False

    #: Whether rows lie in the order of their primary key, so that a range of it is walked faster than any other index.
    clustered: ClassVar[bool] = False

    #: Whether the engine works in this process, so that reading ahead in another thread gains nothing.
    in_process: ClassVar[bool] = False
    #: How long a batch of a long run should last, in milliseconds, unless the work says more.
    batch_ms: ClassVar[int] = 500
    #: The most rows that a batch may take.
    batch_rows: ClassVar[int] = 1_000_000
    #: Whether a lock may belong to a transaction, and DDL to the same one.
    takes_turns: ClassVar[bool] = False
    #: The server's sessions: ours, those in the way, and ending one.
    sessions: ClassVar[Sessions] = NoSessions()

    #: How a change waits for its lock, and what is said when it can't have it.
    manners: ClassVar[Manners] = NoManners()

    # --- connections ----------------------------------------------------------------------------------------

    @abstractmethod
    def engine_options(self, url: sa.URL, *, read_only: bool) -> dict[str, Any]:
        """Keyword arguments for create_engine: timeouts, driver options, and a read-only session if asked."""

    def prepare_url(self, url: sa.URL, *, read_only: bool) -> sa.URL:
        """The URL to connect with."""
        return url

    def instrument(self, engine: sa.Engine, *, read_only: bool) -> None:
        """Adds the engine's event listeners: session settings, transaction control."""
        return None

    def tidy(self, engine: sa.Engine) -> None:
        """Does by the way what the engine would otherwise do while a writer waits for it."""
        return None

    def specialise(self, engine: sa.Engine) -> Dialect:
        """The dialect of the server that answers, where one URL scheme serves several products."""
        return self

    def exists(self, url: sa.URL) -> bool:
        """Whether the database is there at all, as far as that can be told without connecting."""
        return True

    @abstractmethod
    def classify(self, error: BaseException) -> type[ChatctlError]:
        """The class of chatctl error that a driver's error is."""

    @abstractmethod
    def now(self, connection: sa.Connection) -> datetime:
        """The server's clock, aware and in UTC."""

    def running(self, connection: sa.Connection) -> int:
        """How many other sessions of the server are at work, as far as this account may see them."""
        return 0

    # --- one at a time --------------------------------------------------------------------------------------

    @abstractmethod
    def try_lock(self, connection: sa.Connection, name: str) -> bool:
        """Takes the advisory lock `name` for as long as this connection lives; False where another holds it."""

    @abstractmethod
    def unlock(self, connection: sa.Connection, name: str) -> None:
        """Gives the advisory lock back."""

    def take_turn(self, connection: sa.Connection, name: str) -> None:
        """Waits until no other transaction has the turn `name`, and has it until this one ends.

        Asked only where `takes_turns` says that it can be.
        """
        raise NotImplementedError

    def locks_hold_everywhere(self, connection: sa.Connection) -> bool:
        """Whether a lock by `try_lock` keeps everybody out: also those who write by way of another node."""
        return True

    # --- what is there --------------------------------------------------------------------------------------

    @abstractmethod
    def table_sizes(
        self, connection: sa.Connection, names: Sequence[str], schema: str | None = None
    ) -> dict[str, TableSize]:
        """Rows and bytes (with indexes) of each table in `names` that exists; estimates, except on SQLite."""

    def plain_sizes(self, connection: sa.Connection, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """The rows and bytes of each table in `names` that exists, as numbers alone."""
        sizes = self.table_sizes(connection, sorted(names))
        return {name: (size.rows, size.bytes) for name, size in sizes.items()}

    def qualified(self, schema: str | None) -> str | None:
        """The schema to give SQLAlchemy for `schema`, or None where the engine has none."""
        return schema if self.has_schemas else None

    def rolls_back_ddl(self, connection: sa.Connection) -> bool:
        """Whether DDL sent on this connection now would roll back with its transaction."""
        return self.transactional_ddl and connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT"

    @contextmanager
    def scratch(self, connection: sa.Connection) -> Iterator[Scratch]:
        """Where revisions may run to show what they send, without a trace: by default the database itself, with no
        write of theirs run.
        """
        yield Scratch(connection, executes=False)

    def scratch_copy(
        self, connection: sa.Connection, script: Sequence[str] | None = None
    ) -> AbstractContextManager[Scratch]:
        """A copy of the schema on the same server, in which revisions run and are measured; dropped at the end.

        With a `script` it holds what those statements make instead. Raises what the server says where the account
        may not make one.
        """
        return self.scratch(connection)

    @abstractmethod
    def gauge(self) -> Gauge:
        """What measures the statements of one plan."""

    # --- rows -----------------------------------------------------------------------------------------------

    def older_than(self, column: sa.Column[Any], moment: datetime) -> sa.ColumnElement[bool]:
        """Rows whose instant in `column` lies strictly before the aware `moment`; an index on the column serves.

        Never a row whose value is null or no instant.
        """
        return column < moment

    def verbatim(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A column whose type nobody knows, in a form that goes back into the same column and is then the same."""
        return column

    @abstractmethod
    def bulk_insert(self, connection: sa.Connection, table: sa.Table, keys: Sequence[str], rows: Sequence[Any]) -> None:
        """Inserts `rows` (tuples of database-neutral values, in the order of `keys`) by the fastest way there is.

        All or none: raises RowRefusedError or RepeatedKeyError and leaves a savepoint of the caller's to roll back.
        """

    def advance_sequence(self, connection: sa.Connection, table: sa.Table) -> None:
        """Lets the numbers that the server hands out go on behind those that rows were inserted with.

        Engines whose numbers follow the table's content have nothing to do.
        """
        return None

    def bulk_converter(self, column: sa.Column[Any]) -> Callable[[Any], Any] | None:
        """What a value of this column passes through before `bulk_insert` hands it to the driver, if anything."""
        return None

    def converted(self, table: sa.Table, keys: Sequence[str], rows: Sequence[Any]) -> Sequence[Any]:
        """The rows with each value passed through its column's converter."""
        converters = [(at, found) for at, key in enumerate(keys) if (found := self.bulk_converter(table.c[key]))]
        if not converters or not rows:
            return rows
        columns: list[Any] = list(zip(*rows, strict=True))
        for position, convert in converters:
            columns[position] = [None if value is None else convert(value) for value in columns[position]]
        return list(zip(*columns, strict=True))

    @contextmanager
    def changing_schema(self, connection: sa.Connection) -> Iterator[None]:
        """What must hold on the connection while DDL runs."""
        yield

    def fingerprint(
        self, connection: sa.Connection, table: sa.Table, keys: Sequence[str] | None = None, where: Any = None
    ) -> tuple[int, str]:
        """The number of rows, and a checksum of them that doesn't depend on their order.

        Computed in SQL, over the columns `keys` (all if None) and the rows that `where` selects. The same rows
        have the same checksum on every engine: instants count in microseconds since 1970, booleans as 0 or 1.
        """
        columns = [table.c[key] for key in (keys or table.c.keys())]
        texts = sa.select(self._row_text(columns).label("text")).select_from(table)
        return self.checksum(connection, texts if where is None else texts.where(where))

    @abstractmethod
    def checksum(self, connection: sa.Connection, texts: sa.Select[Any]) -> tuple[int, str]:
        """The number of `texts` (a column `text`), and a checksum as `digests` has it."""

    def row_digest(self, columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[str]:
        """32 hex digits that stand for the row: MD5 over its values, each with its length."""
        return sa.func.md5(self._row_text(columns), type_=sa.String())

    def _row_text(self, columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[str]:
        return self.concat([self._measured(column) for column in columns])

    def _measured(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
        text = self.canonical_text(column)
        size = sa.cast(self.length(text), sa.String(20))
        return sa.case((column.is_(None), sa.literal("-;")), else_=self.concat([size, sa.literal(":"), text]))

    def canonical_text(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
        """The column's value as the same text on every engine."""
        if isinstance(column.type, UtcDateTime | EpochTime):
            return self.as_text(self.microseconds(column))
        if isinstance(column.type, sa.Boolean):
            return sa.case((column, sa.literal("1")), else_=sa.literal("0"))
        if isinstance(column.type, sa.Numeric | sa.Float):
            return self.as_text(sa.func.round(sa.type_coerce(column, sa.Numeric) * 1_000_000), whole=True)
        return self.as_text(column)

    def length(self, text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        """The length of a text in characters."""
        return sa.func.char_length(text, type_=sa.Integer())

    @abstractmethod
    def as_text(self, value: sa.ColumnElement[Any], *, whole: bool = False) -> sa.ColumnElement[str]:
        """`value` cast to text, after a cast to a whole number where `whole` says so."""

    @abstractmethod
    def epoch_microseconds(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """A timestamp column as whole microseconds since 1970-01-01 UTC."""

    def concat(self, parts: Sequence[sa.ColumnElement[str]]) -> sa.ColumnElement[str]:
        """The parts joined, none of them null."""
        return sa.func.concat(*parts, type_=sa.String())

    def microseconds(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """An instant, however the column keeps it, as whole microseconds since 1970-01-01 UTC."""
        if isinstance(column.type, EpochTime):
            return sa.type_coerce(column, sa.BigInteger) * (1_000_000 // column.type.ticks_per_second)
        return self.epoch_microseconds(column)

    # --- rewriting sets of rows -----------------------------------------------------------------------------

    @abstractmethod
    def upsert(self, table: sa.Table, keys: Sequence[str], rows: sa.Select[Any], key: str, merge: Merge) -> sa.Insert:
        """INSERT … SELECT of `rows` into the columns `keys`; where the column `key` repeats, `merge` says what becomes.

        `merge` is given the row that is there and the new one, and returns the values of the columns to change.
        """

    def children_gone(self, connection: sa.Connection, parent: sa.Table, joins: Joins) -> AbstractContextManager[None]:
        """Inside, rows of `parent` are deleted whose children by `joins` are gone: an engine needn't look for them."""
        return nullcontext()

    def limit_idleness(self, connection: sa.Connection, seconds: int) -> None:
        """Has the server end this transaction where its client says nothing for so long, if the server can.

        It isn't told that a client's host was cut off, and would keep the transaction's locks for hours.
        """
        return None

    def prefer_indexes(self, connection: sa.Connection) -> None:
        """Tells the planner, for this transaction, that few rows of large tables are wanted."""
        return None

    def exact(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A value to group by that is equal only where the stored values are the same, whatever the collation says."""
        return column

    def beyond(self, columns: Sequence[sa.ColumnElement[Any]], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Whether the row lies behind `values` in the order of `columns`, in a form that an index serves."""
        literals = [sa.literal(value, column.type) for column, value in zip(columns, values, strict=True)]
        return sa.tuple_(*columns) > sa.tuple_(*literals)

    @abstractmethod
    def row_number(self, columns: Sequence[sa.Column[Any]]) -> sa.ColumnElement[int]:
        """A number from 0 to 2³²−1 that stands for the values of `columns` in a row.

        Much cheaper than a digest, and good for one engine alone: to see that the same rows are still the same.
        """

    def in_order(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """A query over tables that are better gone through in the order in which they stand there."""
        return query

    def apart(self, rows: sa.Select[Any]) -> sa.Select[Any]:
        """A query whose expressions are computed once a row, also where another one groups its rows."""
        return rows

    def least(self, *values: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The smallest of the values, none of them null."""
        return sa.func.least(*values, type_=values[0].type)

    def greatest(self, *values: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The largest of the values, none of them null."""
        return sa.func.greatest(*values, type_=values[0].type)
