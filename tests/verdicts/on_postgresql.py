"""PostgreSQL keeps a statement's locks until its transaction ends, so it is held open, and others try the tables.

What can't run in a transaction is kept from its end by an old snapshot instead.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import psycopg
import sqlalchemy as sa
from tests.verdicts.observing import READS, REWRITES, WRITES, Observer, schema

_ALONE = re.compile(r"\bCONCURRENTLY\b|\bADD VALUE\b", re.IGNORECASE)
_FILES = """
    SELECT relname, pg_relation_filenode(oid) FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
"""


class PostgreSQLObserver(Observer):
    """On the database of a SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._other = self._connect()
        self._other.execute("SET lock_timeout = '25ms'")

    def make(self) -> None:
        """In the schema public."""
        with self._connect() as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
            for sql in schema("postgresql"):
                connection.execute(sql)

    def seen(self, sql: str) -> set[str]:
        """By trying each table, and by the files that tables with rows lie in."""
        files = self._files()
        found = self._concurrently(sql, files) if _ALONE.search(sql) else self._in_transaction(sql, files)
        moved = any(files.get(name, node) != node for name, node in self._files().items())
        # TRUNCATE puts an empty file in the place of the old one, and no rows into it.
        return found | {REWRITES} if moved else found

    def close(self) -> None:
        """Gives the connection back."""
        self._other.close()

    def _in_transaction(self, sql: str, tables: dict[str, int]) -> set[str]:
        with self._connect() as connection, connection.transaction():
            connection.execute(sql)
            return self._kept_out(list(tables))

    def _concurrently(self, sql: str, tables: dict[str, int]) -> set[str]:
        with self._connect() as old, self._connect() as connection:
            with old.transaction():
                old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                for name in tables:
                    old.execute(f"SELECT count(*) FROM {name}")
                runner = threading.Thread(target=connection.execute, args=(sql,))
                runner.start()
                self._wait_until_it_waits(connection.info.backend_pid, runner)
                found = self._kept_out(list(tables))
            runner.join()
        return found

    def _wait_until_it_waits(self, pid: int, runner: threading.Thread) -> None:
        query = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        deadline = time.monotonic() + 10
        while runner.is_alive() and self._other.execute(query, [pid]).fetchone() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def _kept_out(self, tables: list[str]) -> set[str]:
        found = set()
        for table in tables:
            if self._waits(f"SELECT id FROM {table} LIMIT 1"):
                found.add(READS)
            if self._waits(f"UPDATE {table} SET id = id WHERE id = 1"):
                found.add(WRITES)
        return found

    def _waits(self, sql: str) -> bool:
        try:
            with self._other.transaction(force_rollback=True):
                self._other.execute(sql)
        except psycopg.errors.LockNotAvailable:
            return True
        except psycopg.Error:
            return False
        return False

    def _files(self) -> dict[str, int]:
        return dict(self._other.execute(_FILES).fetchall())

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self._url.host, port=self._url.port, user=self._url.username, password=self._url.password,
            dbname=self._url.database, autocommit=True, options="-ctimezone=UTC",
        )  # fmt: skip
