"""SQLite 3.35 and later, through the standard library's driver."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.dialects.sqlite import insert

from chatctl import errors
from chatctl.stores.sql.dialects.base import KEPT_COLUMNS, READS_ONLY, Dialect, Merge, TableSize
from chatctl.stores.sql.dialects.digests import DigestSum, md5
from chatctl.stores.sql.dialects.measuring import Gauge, SQLiteGauge
from chatctl.stores.sql.dialects.scratch import Scratch, require_answer
from chatctl.stores.sql.types import UtcDateTime

#: How long a statement waits for another writer, in seconds.
BUSY_TIMEOUT_SECONDS = 10.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CHECKPOINT_PAGES = 10_000

#: SQLite's own 2 MiB are too few for batches that touch rows all over a table.
_CACHE_KIB = 64_000
#: A look goes through a table once, and an index is sorted in as much memory again.
_READING_CACHE_KIB = 16_000
_SCHEMA_CACHE_KIB = 24_000

_BY_ERROR_NAME: dict[str, type[errors.ChatctlError]] = {
    "SQLITE_BUSY": errors.RetryableError,
    "SQLITE_LOCKED": errors.RetryableError,
    "SQLITE_READONLY": errors.ReadOnlyError,
    "SQLITE_FULL": errors.DiskFullError,
    # The index of the write-ahead log can't be made larger: on a full disk this comes before SQLITE_FULL.
    "SQLITE_IOERR_SHMSIZE": errors.DiskFullError,
    "SQLITE_CANTOPEN": errors.CannotConnectError,
    "SQLITE_NOTADB": errors.CannotConnectError,
    "SQLITE_CORRUPT": errors.DatabaseError,
    "SQLITE_PERM": errors.NoPrivilegeError,
    "SQLITE_AUTH": errors.NoPrivilegeError,
    "SQLITE_CONSTRAINT": errors.RowRefusedError,
    "SQLITE_MISMATCH": errors.RowRefusedError,
    "SQLITE_TOOBIG": errors.RowRefusedError,
}


class SQLite(Dialect):
    """A database file, or memory."""

    name = "sqlite"
    title = "SQLite"
    alembic_name = "sqlite"
    transactional_ddl = True
    has_schemas = False
    locks_die_with_holder = True
    hashes_slowly = True
    in_process = True
    # Each commit writes the same pages of the indexes again: they are most of the work.
    batch_ms = 1_500
    # What a statement sorts or puts aside is in this process's memory.
    batch_rows = 100_000

    def __init__(self) -> None:
        self._locks: dict[str, FileLock] = {}

    def engine_options(self, url: sa.URL, *, read_only: bool) -> dict[str, Any]:
        """A busy timeout; transactions are chatctl's to begin, not the driver's."""
        # Of statements that name thousands of keys the driver would keep a hundred, each of some megabytes.
        plain = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False, "cached_statements": 0}
        options: dict[str, Any] = {"connect_args": plain}
        file = _file_of(url)
        if file is None or (read_only and not file.exists()):  # read as an empty database, in memory
            options["poolclass"] = sa.StaticPool
        else:
            # Each connection has a cache of its own, which is void once another one has written.
            options["pool_use_lifo"] = True
        return options

    def prepare_url(self, url: sa.URL, *, read_only: bool) -> sa.URL:
        """A file that is only read is opened read-only; one that isn't there yet is read as an empty database."""
        file = _file_of(url)
        if file is not None and file.is_dir():
            raise errors.CannotConnectError(f"SQLite database {file}: this is a folder.", hint="Name the file in it.")
        if not read_only or file is None:
            return url
        if not file.exists():
            return url.set(database=":memory:")
        query = {**url.query, "mode": "ro", "uri": "true"}
        if not os.access(file.parent, os.W_OK) and not Path(f"{file}-wal").exists():
            # The write-ahead log's index can't be made in such a folder, and nobody can be writing there either.
            query["immutable"] = "1"
        return url.set(database=f"file:{quote(str(file))}", query=query)

    def instrument(self, engine: sa.Engine, *, read_only: bool) -> None:
        """Foreign keys on, write-ahead log for files that are written, explicit BEGIN, the digest function."""

        @sa.event.listens_for(engine, "connect")
        def configure(connection: Any, record: object) -> None:
            if not read_only:
                _require_writable(engine.url)
            connection.isolation_level = None
            connection.create_function("md5", 1, md5, deterministic=True)
            connection.create_aggregate("chatctl_digest_sum", 1, DigestSum)
            connection.create_function("chatctl_crc", 1, zlib.crc32, deterministic=True)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{_READING_CACHE_KIB if read_only else _CACHE_KIB}")
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                # By default each batch would write back the same pages of the indexes.
                connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            # A transaction that starts by reading and then writes can't be retried by SQLite's own busy handler.
            reads = read_only or READS_ONLY.items() <= connection.get_execution_options().items()
            connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    def tidy(self, engine: sa.Engine) -> None:
        """Moves pages from the write-ahead log to the file, as far as that holds up nobody."""
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def exists(self, url: sa.URL) -> bool:
        """Whether the file is there."""
        file = _file_of(url)
        return file is None or file.exists()

    def classify(self, error: BaseException) -> type[errors.ChatctlError]:
        """By SQLite's own error names; a repeated primary key is told from other constraints."""
        name = getattr(error, "sqlite_errorname", None) or ""
        if name in ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_ROWID"):
            return errors.RepeatedKeyError
        for prefix, kind in _BY_ERROR_NAME.items():
            if name.startswith(prefix):
                return kind
        if isinstance(error, OverflowError | sqlite3.DataError):
            return errors.RowRefusedError
        return errors.MissingEntityError if str(error).startswith("no such") else errors.DatabaseError

    def now(self, connection: sa.Connection) -> datetime:
        """The host's clock, which is SQLite's too."""
        return datetime.now(UTC)

    def try_lock(self, connection: sa.Connection, name: str) -> bool:
        """A lock on a file beside the database, which the operating system frees when its holder dies."""
        file = _file_of(connection.engine.url)
        if file is None:
            return True
        lock = FileLock(f"{file}.{name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return False
        self._locks[name] = lock
        # Its holder's connection does nothing else from now on, and what it has read would lie there.
        driver: Any = connection.connection.driver_connection  # outside of a transaction, which would lock out others
        driver.execute("PRAGMA shrink_memory")
        return True

    def unlock(self, connection: sa.Connection, name: str) -> None:
        """Frees the lock; its empty file stays, since removing it would let two holders in."""
        lock = self._locks.pop(name, None)
        if lock is not None:
            lock.release()

    def table_sizes(
        self, connection: sa.Connection, names: Sequence[str], schema: str | None = None
    ) -> dict[str, TableSize]:
        """Exact rows; bytes from dbstat where SQLite was built with it, else pages shared out by rows."""
        present = set(sa.inspect(connection).get_table_names())
        rows = {
            name: connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) or 0
            for name in names
            if name in present
        }
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        total = sum(rows.values()) or 1
        return {name: TableSize(count, pages * size * count // total) for name, count in rows.items()}

    def bulk_insert(self, connection: sa.Connection, table: sa.Table, keys: Sequence[str], rows: Sequence[Any]) -> None:
        """executemany in the open transaction."""
        names = ", ".join(_quoted(table.c[key].name) for key in keys)
        marks = ", ".join("?" * len(keys))
        driver: Any = connection.connection.driver_connection
        try:
            driver.executemany(
                f"INSERT INTO {_quoted(table.name)} ({names}) VALUES ({marks})", self.converted(table, keys, rows)
            )
        except (sqlite3.Error, OverflowError) as problem:
            raise self.classify(problem)(str(problem)) from problem

    def bulk_converter(self, column: sa.Column[Any]) -> Callable[[Any], Any] | None:
        """Timestamps as SQLAlchemy writes them, decimals as numbers."""
        if isinstance(column.type, UtcDateTime):
            return _timestamp
        return float if isinstance(column.type, sa.Numeric) else None

    def older_than(self, column: sa.Column[Any], moment: datetime) -> sa.ColumnElement[bool]:
        """Compares what the text means, after a comparison of texts that an index serves.

        SQLite would take any number for smaller than any text, and an application may write its instants with
        another separator or fewer digits than SQLAlchemy.
        """
        if not isinstance(column.type, UtcDateTime):
            return sa.and_(sa.func.typeof(column).in_(("integer", "real")), column < moment)
        next_day = (moment.astimezone(UTC) + timedelta(days=1)).date().isoformat()
        microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
        return sa.and_(
            sa.func.typeof(column) == "text",
            sa.type_coerce(column, sa.Text) < next_day,
            self.epoch_microseconds(column) < microseconds,
        )

    @contextmanager
    def changing_schema(self, connection: sa.Connection) -> Iterator[None]:
        """Foreign keys off while tables are rebuilt, or DROP TABLE would cascade; then on again."""
        driver = connection.connection.dbapi_connection
        assert driver is not None
        # Inside a transaction the pragma would be ignored without a word.
        assert not connection.in_transaction()
        driver.cursor().execute("PRAGMA foreign_keys = OFF")
        driver.cursor().execute(f"PRAGMA cache_size = -{_SCHEMA_CACHE_KIB}")
        try:
            yield
        finally:
            connection.rollback()
            driver.cursor().execute("PRAGMA foreign_keys = ON")
            driver.cursor().execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def as_text(self, value: sa.ColumnElement[Any], *, whole: bool = False) -> sa.ColumnElement[str]:
        """CAST … AS TEXT."""
        return sa.cast(sa.cast(value, sa.BigInteger) if whole else sa.type_coerce(value, sa.Text), sa.Text)

    def epoch_microseconds(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """From the text that SQLite keeps: whole seconds by strftime, the fraction by its digits."""
        text = sa.type_coerce(column, sa.Text)
        seconds = sa.cast(sa.func.strftime("%s", sa.func.substr(text, 1, 19)), sa.BigInteger)
        digits = sa.func.rtrim(sa.func.substr(text, 21), "Z")
        fraction = sa.cast(sa.func.substr(digits.op("||")("000000"), 1, 6), sa.BigInteger)
        return seconds * 1_000_000 + fraction

    def checksum(self, connection: sa.Connection, texts: sa.Select[Any]) -> tuple[int, str]:
        """By an aggregate of chatctl's own: SQLite would call for each row's digest as often as it is named."""
        text = texts.subquery().c.text
        summed = sa.func.coalesce(sa.func.chatctl_digest_sum(text), DigestSum().finalize())
        count, checksum = connection.execute(sa.select(sa.func.count(text), summed)).one()
        return int(count), str(checksum)

    @contextmanager
    def scratch(self, connection: sa.Connection) -> Iterator[Scratch]:
        """An empty copy of the schema in memory: SQLite alters by rebuilding, which looks at the table first."""
        with self._copied(connection, sa.make_url("sqlite://")) as copy:
            yield Scratch(copy, executes=True)

    @contextmanager
    def scratch_copy(self, connection: sa.Connection, script: Sequence[str] | None = None) -> Iterator[Scratch]:
        """The same in a temporary file, for whoever makes a connection of their own."""
        with tempfile.TemporaryDirectory(prefix="chatctl-scratch-") as folder:
            file = str(Path(folder).resolve() / "scratch.db")
            url = sa.make_url("sqlite://").set(database=file)
            inside = "SELECT file FROM pragma_database_list WHERE name = 'main'"
            with self._copied(connection, url, script) as copy:
                yield Scratch(
                    copy, executes=True, url=url, require_inside=lambda cursor: require_answer(cursor, inside, file)
                )

    @contextmanager
    def _copied(
        self, connection: sa.Connection, url: sa.URL, script: Sequence[str] | None = None
    ) -> Iterator[sa.Connection]:
        query = (
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'view' THEN 2 ELSE 1 END, rowid"
        )
        schema = connection.exec_driver_sql(query).scalars().all() if script is None else script
        engine = sa.create_engine(url, **self.engine_options(url, read_only=False))
        self.instrument(engine, read_only=False)
        with engine.connect() as copy:
            for statement in schema:
                copy.exec_driver_sql(statement)
            if script is None:
                _copy_rows(connection, copy, KEPT_COLUMNS)
            copy.commit()
            with self.changing_schema(copy):
                yield copy
        engine.dispose()

    def rolls_back_ddl(self, connection: sa.Connection) -> bool:
        """Only inside a transaction that was begun on purpose: the driver begins none before DDL."""
        return bool(getattr(connection.connection.driver_connection, "in_transaction", False))

    def gauge(self) -> Gauge:
        """Told by the form of a statement."""
        return SQLiteGauge()

    def length(self, text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        """length(), in characters."""
        return sa.func.length(text, type_=sa.Integer())

    def concat(self, parts: Sequence[sa.ColumnElement[str]]) -> sa.ColumnElement[str]:
        """The || operator: concat() is newer than the SQLite that Python may carry."""
        joined = parts[0]
        for part in parts[1:]:
            joined = joined.op("||")(part)
        return joined

    def upsert(self, table: sa.Table, keys: Sequence[str], rows: sa.Select[Any], key: str, merge: Merge) -> sa.Insert:
        """ON CONFLICT … DO UPDATE."""
        statement = insert(table).from_select(list(keys), rows)
        return statement.on_conflict_do_update(index_elements=[table.c[key]], set_=merge(table.c, statement.excluded))

    def row_number(self, columns: Sequence[sa.Column[Any]]) -> sa.ColumnElement[int]:
        """zlib's CRC-32, since SQLite has no function that hashes; joining the values is left to SQLite."""
        texts = [sa.func.coalesce(sa.type_coerce(column, sa.Text), "\x01") for column in columns]
        joined = sa.func.printf("\x1f".join(["%s"] * len(texts)), *texts, type_=sa.Text())
        return sa.func.chatctl_crc(sa.cast(joined, sa.LargeBinary), type_=sa.BigInteger())

    def apart(self, rows: sa.Select[Any]) -> sa.Select[Any]:
        """With a limit that limits nothing: without one SQLite sorts whole rows, and computes afterwards."""
        return rows.limit(-1)

    def least(self, *values: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """min() of several arguments."""
        return sa.func.min(*values, type_=values[0].type)

    def greatest(self, *values: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """max() of several arguments."""
        return sa.func.max(*values, type_=values[0].type)


def _file_of(url: sa.URL) -> Path | None:
    name = url.database
    if not name or name == ":memory:":
        return None
    return Path(name.removeprefix("file:").partition("?")[0]) if name.startswith("file:") else Path(name)


def _require_writable(url: sa.URL) -> None:
    """SQLite itself would only say that it can't open the file."""
    file = _file_of(url)
    if file is not None and file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        raise errors.ReadOnlyError(f"{file}: the file or its folder may only be read.")


def _copy_rows(source: sa.Connection, target: sa.Connection, table: str) -> None:
    """Brings the rows that revisions read over to the scratch copy, which has no others."""
    if not sa.inspect(source).has_table(table):
        return
    rows = [tuple(row) for row in source.exec_driver_sql(f"SELECT * FROM {table}")]
    if rows:
        target.exec_driver_sql(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _timestamp(value: datetime) -> str:
    return value.isoformat(sep=" ", timespec="microseconds")
