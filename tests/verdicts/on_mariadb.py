"""MariaDB ends its locks with the statement, so the tables are large enough for others to be seen working, or not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pymysql
import sqlalchemy as sa
from tests.verdicts.observing import READS, REWRITES, WRITES, Observer, Users, ignoring, schema

_TABLES = ("t", "u", "spare")


class MariaDBObserver(Observer):
    """On the database of a SQLAlchemy URL; tables have that many `rows`."""

    def __init__(self, url: str, rows: int) -> None:
        self._url = sa.make_url(url)
        self._rows = rows

    def make(self) -> None:
        """Dropped, and made and filled again."""
        connection, cursor = self._connect()
        cursor.execute("SET foreign_key_checks = 0")
        cursor.execute("SHOW FULL TABLES")
        for name, kind in cursor.fetchall():
            cursor.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} `{name}`")
        for sql in schema("mariadb", rows=self._rows):
            cursor.execute(sql)
        connection.close()

    def seen(self, sql: str) -> set[str]:
        """By what users got done meanwhile, and by the tablespaces."""
        connection, cursor = self._connect()
        before = self._spaces(cursor)
        users = Users({READS: self._reader, WRITES: self._writer})
        with users.at_work():
            began = time.monotonic()
            cursor.execute(sql)
            ended = time.monotonic()
        found = {kind for kind in (READS, WRITES) if users.were_kept_out(kind, began, ended)}
        after = self._spaces(cursor)
        # An emptied table has a new tablespace, too, and no row is written into it.
        if not sql.startswith("TRUNCATE") and any(before.get(name, space) != space for name, space in after.items()):
            found.add(REWRITES)
        connection.close()
        return found

    def _reader(self) -> Callable[[int], None]:
        _, cursor = self._connect()
        read = ignoring(cursor.execute, pymysql.err.MySQLError)

        def act(number: int) -> None:
            for table in _TABLES:
                read(f"SELECT id FROM {table} WHERE id = {number % 50 + 1} LIMIT 1")

        return act

    def _writer(self) -> Callable[[int], None]:
        _, cursor = self._connect()
        write = ignoring(cursor.execute, pymysql.err.MySQLError)

        def act(number: int) -> None:
            write(f"UPDATE t SET c = '{number}' WHERE id = {number % 50 + 1}")
            write(f"UPDATE u SET filler = '{number}' WHERE id = {number % 50 + 1}")
            write(f"INSERT INTO spare (id, k) VALUES ({-number - 1}, 1)")

        return act

    def _spaces(self, cursor: Any) -> dict[str, int]:
        cursor.execute(
            "SELECT SUBSTRING_INDEX(name, '/', -1), space FROM information_schema.innodb_sys_tables"
            " WHERE name LIKE CONCAT(DATABASE(), '/%') AND name NOT LIKE '%/FTS\\_%'"
        )
        return dict(cursor.fetchall())

    def _connect(self) -> tuple[pymysql.connections.Connection[Any], Any]:
        connection = pymysql.connect(
            host=self._url.host, port=self._url.port or 3306, user=self._url.username,
            password=self._url.password or "", database=self._url.database, autocommit=True,
        )  # fmt: skip
        return connection, connection.cursor()
