"""MySQL 8 and what MariaDB shares with it, through PyMySQL."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from pymysql.constants import CLIENT
from pymysql.err import Error
from sqlalchemy.dialects.mysql import BIGINT, insert

from chatctl import errors
from chatctl.stores.sql.dialects.base import KEPT_COLUMNS, Dialect, Merge, TableSize
from chatctl.stores.sql.dialects.digests import sum_of_halves
from chatctl.stores.sql.dialects.gentle import Manners, MySQLManners
from chatctl.stores.sql.dialects.load_data import CAPABILITY, REFUSALS, LoadComplaint, load_data
from chatctl.stores.sql.dialects.measuring import Gauge, MySQLGauge
from chatctl.stores.sql.dialects.references import Joins, spared_search
from chatctl.stores.sql.dialects.scratch import MySQLScratch, Scratch
from chatctl.stores.sql.dialects.sessions import MySQLSessions
from chatctl.stores.sql.types import UtcDateTime

_BY_NUMBER: dict[type[errors.ChatctlError], tuple[int, ...]] = {
    errors.AccessDeniedError: (1045, 1698, 2059, 1251, 1524),
    errors.CannotConnectError: (2002, 2003, 2005, 2026, 1040, 1049, 1129, 1130, 1203),
    errors.ConnectionLostError: (2006, 2013, 2055, 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1927, 1047),
    errors.RetryableError: (1205, 1213, 1020, 1969, 3024, 1180, 1317, 4031),
    errors.NoPrivilegeError: (1044, 1142, 1143, 1227, 1370, 1410),
    errors.ReadOnlyError: (1290, 1792, 1836),
    errors.DiskFullError: (1021, 1114, 3675, 28),
    errors.RepeatedKeyError: (1062, 1586),
    errors.MissingEntityError: (1146, 1054, 1091, 1051),
    errors.RowRefusedError: (
        1048, 1264, 1265, 1292, 1364, 1366, 1406, 1451, 1452, 1690, 3140, 3819, 4025, 1411, 1300, 1153,
    ),
}  # fmt: skip
_KINDS = {number: kind for kind, numbers in _BY_NUMBER.items() for number in numbers}

#: A full disk has many numbers of its own, and these of the operating system or the storage engine in its text.
_DISK_FULL = re.compile(r"\b(?:errno|error):? (?:28|135)\b|No space left on device")

_STRICT = "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

#: A server's host that is gone without a word is found out within a minute, also by who waits for an answer. The driver
#: has the kernel ask, but not how often, which is every two hours.
_KEEPALIVES = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}

#: An UPDATE counts the rows that it found, not those that it changed. SQLAlchemy asks for it too, but `client_flag`
#: in connect_args takes the place of its own.
FOUND_ROWS = CLIENT.FOUND_ROWS

#: One statement of a bulk insert stays below the smallest max_allowed_packet in use (MariaDB's 16 MiB by far).
_STATEMENT_BYTES = 1_000_000


class MySQL(Dialect):
    """A MySQL server."""

    name = "mysql"
    title = "MySQL"
    alembic_name = "mysql"
    clustered = True
    #: InnoDB's list of foreign keys, in information_schema.
    _foreign_keys: ClassVar[str] = "INNODB_FOREIGN"
    sessions = MySQLSessions()
    manners: ClassVar[Manners] = MySQLManners()

    def __init__(self) -> None:
        #: Until the server has said no.
        self._takes_load_data = True

    def engine_options(self, url: sa.URL, *, read_only: bool) -> dict[str, Any]:
        """utf8mb4, and no snapshot older than a statement."""
        return {
            "pool_pre_ping": True,
            "isolation_level": "READ COMMITTED",
            "connect_args": {"charset": "utf8mb4", "connect_timeout": 10, "client_flag": CAPABILITY | FOUND_ROWS},
        }

    def instrument(self, engine: sa.Engine, *, read_only: bool) -> None:
        """UTC, keepalives and strict values; a read-only session refuses writes by the server's own word."""

        @sa.event.listens_for(engine, "connect")
        def configure(connection: Any, record: object) -> None:
            _keep_alive(connection._sock)
            with connection.cursor() as cursor:
                # Notes off: what LOAD DATA counts as a warning is then a row that it left out or changed.
                cursor.execute(f"SET SESSION time_zone = '+00:00', sql_mode = '{_STRICT}', sql_notes = 0")
                if read_only:
                    cursor.execute("SET SESSION TRANSACTION READ ONLY")

    def classify(self, error: BaseException) -> type[errors.ChatctlError]:
        """By the server's or the client library's error number."""
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if number in (2003, 2013) and "refused" not in str(error) and "Lost connection" in str(error):
            return errors.ConnectionLostError
        if number not in _KINDS and _DISK_FULL.search(str(error)):
            return errors.DiskFullError
        return _KINDS.get(number, errors.ConnectionLostError if number == 0 else errors.DatabaseError)

    def now(self, connection: sa.Connection) -> datetime:
        """The server's clock, to the microsecond."""
        moment: datetime = connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one()
        return moment.replace(tzinfo=UTC)

    def running(self, connection: sa.Connection) -> int:
        """Threads_running, which counts the one that asks."""
        row = connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Threads_running'").one()
        return int(row[1]) - 1

    def try_lock(self, connection: sa.Connection, name: str) -> bool:
        """GET_LOCK without waiting, for this database alone: the server's locks are shared by all of them."""
        return (
            connection.execute(
                sa.text("SELECT GET_LOCK(LEFT(CONCAT(:n, '.', DATABASE()), 64), 0)"), {"n": name}
            ).scalar()
            == 1
        )

    def unlock(self, connection: sa.Connection, name: str) -> None:
        """RELEASE_LOCK."""
        connection.execute(sa.text("SELECT RELEASE_LOCK(LEFT(CONCAT(:n, '.', DATABASE()), 64))"), {"n": name})

    def locks_hold_everywhere(self, connection: sa.Connection) -> bool:
        """Not in a Galera cluster, whose nodes know their own locks alone."""
        found = connection.exec_driver_sql("SHOW VARIABLES LIKE 'wsrep_on'").first()
        return found is None or str(found[1]).upper() != "ON"

    def scratch_copy(
        self, connection: sa.Connection, script: Sequence[str] | None = None
    ) -> AbstractContextManager[Scratch]:
        """A database beside the application's."""
        return MySQLScratch(self._scratch_engine, (KEPT_COLUMNS,)).made(connection, script)

    def _scratch_engine(self, url: sa.URL) -> sa.Engine:
        options = {**self.engine_options(url, read_only=False), "poolclass": sa.NullPool}
        engine = sa.create_engine(url, **options)
        self.instrument(engine, read_only=False)
        return engine

    def gauge(self) -> Gauge:
        """Told by what the server refuses."""
        return MySQLGauge()

    def table_sizes(
        self, connection: sa.Connection, names: Sequence[str], schema: str | None = None
    ) -> dict[str, TableSize]:
        """InnoDB's estimates from information_schema."""
        rows = connection.execute(
            sa.text(
                "SELECT table_name, COALESCE(table_rows, 0), COALESCE(data_length, 0) + COALESCE(index_length, 0)"
                " FROM information_schema.tables WHERE table_schema = COALESCE(:s, DATABASE()) AND table_name IN :names"
            ).bindparams(sa.bindparam("names", expanding=True)),
            {"s": schema, "names": list(names)},
        )
        return {name: TableSize(int(count), int(size)) for name, count, size in rows}

    def bulk_insert(self, connection: sa.Connection, table: sa.Table, keys: Sequence[str], rows: Sequence[Any]) -> None:
        """LOAD DATA LOCAL, or INSERT statements of many rows each where the server doesn't take that."""
        target = connection.dialect.identifier_preparer.format_table(table)
        names = [_quoted(table.c[key].name) for key in keys]
        driver: Any = connection.connection.driver_connection
        try:
            complaint = self._load_or_insert(driver, target, names, table, keys, rows)
        except Error as problem:
            raise self.classify(problem)(str(problem.args[-1])) from problem
        except (KeyboardInterrupt, Exception):
            # In the middle of a LOAD DATA the server would take a ROLLBACK for rows.
            connection.invalidate()
            raise
        if complaint is not None:
            kind = _KINDS.get(complaint.number, errors.RowRefusedError)
            # LOAD DATA only ever complains of rows, whatever the number means elsewhere.
            raise (kind if issubclass(kind, errors.RowRefusedError) else errors.RowRefusedError)(complaint.message)

    def _load_or_insert(
        self, driver: Any, target: str, names: Sequence[str], table: sa.Table, keys: Sequence[str], rows: Sequence[Any]
    ) -> LoadComplaint | None:
        if self._takes_load_data:
            try:
                return load_data(driver, target, names, rows)
            except Error as problem:
                if problem.args[0] not in REFUSALS:
                    raise
                self._takes_load_data = False
        self._insert_many(driver, target, names, self.converted(table, keys, rows))
        return None

    def _insert_many(self, driver: Any, target: str, names: Sequence[str], rows: Sequence[Any]) -> None:
        marks = ", ".join(["%s"] * len(names))
        head = f"INSERT INTO {target} ({', '.join(names)})".replace("%", "%%")
        with driver.cursor() as cursor:
            cursor.max_stmt_length = _STATEMENT_BYTES
            cursor.executemany(f"{head} VALUES ({marks})", rows)

    def bulk_converter(self, column: sa.Column[Any]) -> Callable[[Any], Any] | None:
        """Timestamps as text: the driver's own way of writing them is slower."""
        return _timestamp if isinstance(column.type, UtcDateTime) else None

    def as_text(self, value: sa.ColumnElement[Any], *, whole: bool = False) -> sa.ColumnElement[str]:
        """CONVERT … USING utf8mb4: a column may be in another character set."""
        plain = sa.cast(value, sa.BigInteger) if whole else value
        return sa.func.convert(sa.cast(plain, sa.String).op("USING")(sa.literal_column("utf8mb4")), type_=sa.String())

    def epoch_microseconds(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """TIMESTAMPDIFF from 1970."""
        unit: sa.ColumnElement[Any] = sa.literal_column("MICROSECOND")
        origin: sa.ColumnElement[Any] = sa.literal_column("TIMESTAMP('1970-01-01 00:00:00')")
        return sa.func.timestampdiff(unit, origin, column, type_=sa.BigInteger())

    def checksum(self, connection: sa.Connection, texts: sa.Select[Any]) -> tuple[int, str]:
        """With a digest for each half: to keep the server from computing it twice would take a table of all digests."""
        digest: sa.ColumnElement[str] = sa.func.md5(texts.subquery().c.text, type_=sa.String())
        return sum_of_halves(connection, sa.select(digest.label("digest")).subquery(), _number)

    def upsert(self, table: sa.Table, keys: Sequence[str], rows: sa.Select[Any], key: str, merge: Merge) -> sa.Insert:
        """ON DUPLICATE KEY UPDATE."""
        statement = insert(table).from_select(list(keys), rows)
        # One after the other, in the order of `merge`: the server works with what it has just written.
        return statement.on_duplicate_key_update(list(merge(table.c, statement.inserted).items()))

    def children_gone(self, connection: sa.Connection, parent: sa.Table, joins: Joins) -> AbstractContextManager[None]:
        """Spared, where InnoDB's list of foreign keys says that nothing else refers to them."""
        return spared_search(connection, self._foreign_keys, parent, joins)

    def row_number(self, columns: Sequence[sa.Column[Any]]) -> sa.ColumnElement[int]:
        """CRC32."""
        texts = [sa.func.coalesce(column, "\0") if column.nullable else column for column in columns]
        return sa.func.crc32(sa.func.concat_ws("\x1f", *texts), type_=sa.BigInteger())

    def in_order(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """STRAIGHT_JOIN: an index would be followed to rows all over a table that doesn't fit into memory."""
        return query.prefix_with("STRAIGHT_JOIN")

    def exact(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Texts as their bytes: most collations take upper case for lower, and blanks at the end for nothing."""
        if not isinstance(column.type, sa.String):
            return column
        return sa.cast(self.as_text(column), sa.LargeBinary)

    def beyond(self, columns: Sequence[sa.ColumnElement[Any]], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Spelled out column by column: a comparison of rows would not use an index."""
        choices = []
        for depth, (column, value) in enumerate(zip(columns, values, strict=True)):
            same = [earlier == kept for earlier, kept in zip(columns[:depth], values[:depth], strict=True)]
            choices.append(sa.and_(*same, column > value))
        return sa.or_(*choices)


def _number(digits: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Hex digits by CONV."""
    return sa.cast(sa.func.conv(digits, 16, 10), BIGINT(unsigned=True))


def _keep_alive(connected: socket.socket) -> None:
    if connected.family == getattr(socket, "AF_UNIX", None):
        return
    for name, value in _KEEPALIVES.items():
        # Not every system has all of them.
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _timestamp(value: datetime) -> str:
    return value.isoformat(sep=" ", timespec="microseconds")
