"""PostgreSQL 14 and later, through psycopg 3."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import insert

from chatctl import errors
from chatctl.stores.sql.dialects.base import KEPT_COLUMNS, Dialect, Merge, TableSize
from chatctl.stores.sql.dialects.digests import sum_of_halves
from chatctl.stores.sql.dialects.gentle import PostgreSQLManners
from chatctl.stores.sql.dialects.measuring import Gauge
from chatctl.stores.sql.dialects.measuring_postgresql import PostgreSQLGauge
from chatctl.stores.sql.dialects.scratch import Scratch
from chatctl.stores.sql.dialects.scratch_postgresql import PostgreSQLScratch
from chatctl.stores.sql.dialects.sessions import PostgreSQLSessions
from chatctl.stores.sql.dialects.text_rows import text_blocks

#: SQLSTATE, or its class (the first two characters), to the error it is; the longest match decides.
_BY_STATE: dict[str, type[errors.ChatctlError]] = {
    "08": errors.ConnectionLostError,
    "22": errors.RowRefusedError,
    "23": errors.RowRefusedError,
    "23505": errors.RepeatedKeyError,
    "25006": errors.ReadOnlyError,
    "25P03": errors.ConnectionLostError,
    "28": errors.AccessDeniedError,
    "3D000": errors.CannotConnectError,
    "40": errors.RetryableError,
    "42501": errors.NoPrivilegeError,
    "42P01": errors.MissingEntityError,
    "42703": errors.MissingEntityError,
    "53100": errors.DiskFullError,
    "53300": errors.CannotConnectError,
    "55P03": errors.RetryableError,
    "57014": errors.RetryableError,
    "57P": errors.ConnectionLostError,
    "58030": errors.DiskFullError,
}

#: A server's host that is gone without a word is found out within a minute, also by who waits for an answer.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

_PRISMA_PARAMETERS = ("schema", "connection_limit", "pool_timeout", "pgbouncer")


class PostgreSQL(Dialect):
    """A PostgreSQL server."""

    name = "postgresql"
    title = "PostgreSQL"
    alembic_name = "postgresql"
    takes_turns = True
    sessions = PostgreSQLSessions()
    manners = PostgreSQLManners()
    transactional_ddl = True

    def engine_options(self, url: sa.URL, *, read_only: bool) -> dict[str, Any]:
        """UTC, keepalives, a name in pg_stat_activity; a read-only session refuses writes by the server's own word."""
        settings = ["-c timezone=UTC", *(["-c default_transaction_read_only=on"] if read_only else [])]
        if schema := url.query.get("schema"):
            settings.append(f"-c search_path={schema}")
        return {
            "pool_pre_ping": True,
            "isolation_level": "READ COMMITTED",
            "connect_args": {
                "connect_timeout": 10,
                "application_name": "chatctl",
                "options": " ".join(settings),
                **_KEEPALIVES,
                # A pooler in transaction mode hands the next transaction to another server connection.
                "prepare_threshold": None,
            },
        }

    def prepare_url(self, url: sa.URL, *, read_only: bool) -> sa.URL:
        """Without the parameters that Prisma adds to a URL, which libpq doesn't know; `schema` is the search path."""
        return url.difference_update_query(_PRISMA_PARAMETERS)

    def classify(self, error: BaseException) -> type[errors.ChatctlError]:
        """By SQLSTATE; an error without one happened while connecting, or lost the connection."""
        state = getattr(error, "sqlstate", None)
        if state:
            matches = [prefix for prefix in _BY_STATE if state.startswith(prefix)]
            return _BY_STATE[max(matches, key=len)] if matches else errors.DatabaseError
        text = str(error)
        if "password authentication failed" in text or "no password supplied" in text or "pg_hba" in text:
            return errors.AccessDeniedError
        if "connection failed" in text or "could not translate" in text or "failed to resolve" in text:
            return errors.CannotConnectError
        return errors.ConnectionLostError if isinstance(error, psycopg.OperationalError) else errors.DatabaseError

    def now(self, connection: sa.Connection) -> datetime:
        """clock_timestamp(), not the transaction's start."""
        moment: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return moment

    def running(self, connection: sa.Connection) -> int:
        """Active sessions of clients; those of other accounts show only to a member of pg_read_all_stats."""
        query = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend'"
        return int(connection.exec_driver_sql(f"{query} AND pid <> pg_backend_pid()").scalar_one())

    def try_lock(self, connection: sa.Connection, name: str) -> bool:
        """A session-level advisory lock, which belongs to this database alone."""
        return bool(
            connection.execute(sa.text("SELECT pg_try_advisory_lock(hashtextextended(:n, 0))"), {"n": name}).scalar()
        )

    def unlock(self, connection: sa.Connection, name: str) -> None:
        """pg_advisory_unlock."""
        connection.execute(sa.text("SELECT pg_advisory_unlock(hashtextextended(:n, 0))"), {"n": name})

    def take_turn(self, connection: sa.Connection, name: str) -> None:
        """A transaction-level advisory lock."""
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:n, 0))"), {"n": name})

    def scratch_copy(
        self, connection: sa.Connection, script: Sequence[str] | None = None
    ) -> AbstractContextManager[Scratch]:
        """A schema beside the application's."""
        return PostgreSQLScratch(self._scratch_engine, (KEPT_COLUMNS,)).made(connection, script)

    def _scratch_engine(self, url: sa.URL) -> sa.Engine:
        options = {**self.engine_options(url, read_only=False), "poolclass": sa.NullPool}
        # The driver takes one set of options, and ours come first.
        path = url.query.get("options", "")
        options["connect_args"] = {**options["connect_args"], "options": f"{options['connect_args']['options']} {path}"}
        engine = sa.create_engine(url.difference_update_query(["options"]), **options)
        self.instrument(engine, read_only=False)
        return engine

    def gauge(self) -> Gauge:
        """Told by the server's own tables of locks, files and scans."""
        return PostgreSQLGauge()

    def table_sizes(
        self, connection: sa.Connection, names: Sequence[str], schema: str | None = None
    ) -> dict[str, TableSize]:
        """The planner's estimate of rows (0 for a table never analysed and empty), and the size on disk."""
        rows = connection.execute(
            sa.text(
                "SELECT c.relname, GREATEST(c.reltuples, COALESCE(s.n_live_tup, 0), 0)::bigint,"
                " pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid"
                " WHERE n.nspname = COALESCE(CAST(:s AS text), current_schema()) AND c.relkind IN ('r', 'p')"
                " AND c.relname = ANY(:names)"
            ),
            {"s": schema, "names": list(names)},
        )
        return {name: TableSize(int(count), int(size)) for name, count, size in rows}

    def bulk_insert(self, connection: sa.Connection, table: sa.Table, keys: Sequence[str], rows: Sequence[Any]) -> None:
        """COPY … FROM STDIN."""
        target = sql.Identifier(*(part for part in (table.schema, table.name) if part))
        names = sql.SQL(", ").join(sql.Identifier(table.c[key].name) for key in keys)
        copy_sql = sql.SQL("COPY {} ({}) FROM STDIN").format(target, names)
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy types every driver alike
        try:
            # A deferred constraint would speak up at the commit only, and take the whole batch with it.
            driver.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with driver.cursor() as cursor, cursor.copy(copy_sql) as copy:
                for block in text_blocks(rows):
                    copy.write(block.encode(driver.info.encoding))
        except psycopg.Error as problem:
            raise self.classify(problem)(_primary(problem)) from problem

    def advance_sequence(self, connection: sa.Connection, table: sa.Table) -> None:
        """setval, only ever forwards."""
        for column in table.primary_key:
            if column.autoincrement is not True:
                continue
            quoted = connection.dialect.identifier_preparer.format_table(table)
            named = {"t": quoted, "c": column.name}
            sequence = connection.scalar(sa.text("SELECT pg_get_serial_sequence(:t, :c)"), named)
            highest = connection.scalar(sa.select(sa.func.max(column)))
            if sequence and highest and highest > 0:
                current = connection.exec_driver_sql(f"SELECT last_value FROM {sequence}").scalar_one()
                connection.execute(sa.text("SELECT setval(:s, :v)"), {"s": sequence, "v": max(highest, current)})

    def verbatim(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """As text: every type of PostgreSQL, and of its extensions, reads what it writes."""
        return sa.cast(column, sa.Text)

    def as_text(self, value: sa.ColumnElement[Any], *, whole: bool = False) -> sa.ColumnElement[str]:
        """CAST … AS TEXT."""
        return sa.cast(sa.cast(value, sa.BigInteger) if whole else value, sa.Text)

    def epoch_microseconds(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """EXTRACT(EPOCH …), which is exact (numeric) from version 14 on."""
        return sa.cast(sa.extract("epoch", column) * 1_000_000, sa.BigInteger)

    def checksum(self, connection: sa.Connection, texts: sa.Select[Any]) -> tuple[int, str]:
        """OFFSET 0 keeps the server from computing a digest as often as it is named."""
        digest: sa.ColumnElement[str] = sa.func.md5(texts.subquery().c.text, type_=sa.String())
        digests = sa.select(digest.label("digest")).offset(sa.literal_column("0")).subquery()
        return sum_of_halves(connection, digests, _number)

    def concat(self, parts: Sequence[sa.ColumnElement[str]]) -> sa.ColumnElement[str]:
        """The || operator: concat() takes at most a hundred arguments."""
        joined = parts[0]
        for part in parts[1:]:
            joined = joined.op("||")(part)
        return joined

    def row_number(self, columns: Sequence[sa.Column[Any]]) -> sa.ColumnElement[int]:
        """The hash of the server's own hash indexes, as it has been the same since version 11."""
        texts = [sa.func.coalesce(sa.cast(column, sa.Text), "\x01") for column in columns]
        hashed = sa.func.hashtextextended(sa.func.concat_ws("\x1f", *texts), 0, type_=sa.BigInteger())
        return hashed.bitwise_and(0xFFFFFFFF)

    def limit_idleness(self, connection: sa.Connection, seconds: int) -> None:
        """idle_in_transaction_session_timeout."""
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'")

    def prefer_indexes(self, connection: sa.Connection) -> None:
        """Nested loops over indexes: the planner's guesses lag behind tables that a run has just filled.

        It also takes one row in two hundred for free of a chat, and would sort a whole table for a batch; and it would
        compile what it thinks will take so long.
        """
        for setting in ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit"):
            connection.exec_driver_sql(f"SET LOCAL {setting} = off")

    def upsert(self, table: sa.Table, keys: Sequence[str], rows: sa.Select[Any], key: str, merge: Merge) -> sa.Insert:
        """ON CONFLICT … DO UPDATE."""
        statement = insert(table).from_select(list(keys), rows)
        return statement.on_conflict_do_update(index_elements=[table.c[key]], set_=merge(table.c, statement.excluded))


def _number(digits: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Hex digits by way of bits: PostgreSQL reads them as such."""
    return sa.cast(sa.literal("x").op("||")(digits).op("::")(sa.literal_column("bit(64)")), sa.BigInteger)


def _primary(problem: psycopg.Error) -> str:
    return problem.diag.message_primary or str(problem)
