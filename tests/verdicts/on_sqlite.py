"""SQLite has one writer at a time: others are seen working or waiting, and rewriting by the write-ahead log's size."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from tests.verdicts.observing import READS, REWRITES, WRITES, Observer, Users, ignoring, schema

#: Rows that are changed one by one are no rewriting of a table, though their pages are written.
_ROWS_CHANGED = re.compile(r"\s*(?:UPDATE|DELETE)\b", re.IGNORECASE)


class SQLiteObserver(Observer):
    """On the file of a SQLAlchemy URL; tables have that many `rows`."""

    def __init__(self, url: str, rows: int) -> None:
        self._file = Path(str(sa.make_url(url).database))
        self._rows = rows

    def make(self) -> None:
        """In a new file."""
        for file in self._file.parent.glob(f"{self._file.name}*"):
            file.unlink()
        connection = self._connect()
        connection.execute("PRAGMA journal_mode = WAL")
        for sql in schema("sqlite", rows=self._rows):
            connection.execute(sql)
        connection.close()

    def seen(self, sql: str) -> set[str]:
        """By what users got done meanwhile, and by how much was written."""
        connection = self._connect()
        users = Users({READS: self._reader, WRITES: self._writer})
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with users.at_work():
            # What the statement itself waited before it could begin is none of what it does to others.
            connection.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            connection.execute(sql)
            ended = time.monotonic()
            connection.execute("COMMIT")
        found = {kind for kind in (READS, WRITES) if users.were_kept_out(kind, began, ended)}
        written = self._file.with_name(f"{self._file.name}-wal").stat().st_size
        # The users' own few pages and those of an index are less than a third of the tables.
        if not _ROWS_CHANGED.match(sql) and written > self._rows * 400 * 0.5:
            found.add(REWRITES)
        connection.close()
        return found

    def _reader(self) -> Callable[[int], None]:
        connection = self._connect()
        read = ignoring(connection.execute, sqlite3.Error)
        return lambda number: read("SELECT id FROM t WHERE id = ?", (number % 50 + 1,))

    def _writer(self) -> Callable[[int], None]:
        connection = self._connect()
        write = ignoring(connection.execute, sqlite3.Error)

        def act(number: int) -> None:
            write("UPDATE parent SET name = ? WHERE id = 1", (str(number),))
            time.sleep(0.002)

        return act

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = OFF")
        return connection
