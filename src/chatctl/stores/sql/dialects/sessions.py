"""The sessions of a server: which one is ours, which ones are in the way, and ending one for good.

A server uses the number of an ended session again, PostgreSQL at any time and MySQL from its next start on. So an
identity here is the number and the moment that it belongs to: `4711@1790001234`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

_NO_SUCH_THREAD = 1094


@dataclass(frozen=True)
class Obstacle:
    """A session that keeps a change from getting its lock: who it is, where from, and for how long."""

    session: str
    user: str
    client: str
    seconds: int
    state: str

    def __str__(self) -> str:
        return f"session {self.session} ({self.user} from {self.client}, {self.state}, for {self.seconds} s)"


class Sessions(ABC):
    """What chatctl asks of a server about its sessions."""

    @abstractmethod
    def identity(self, connection: sa.Connection) -> str:
        """This connection's, by which another one can end it; empty where there is none."""

    @abstractmethod
    def lives(self, connection: sa.Connection, identity: str) -> bool:
        """Whether the session is still there."""

    @abstractmethod
    def end(self, connection: sa.Connection, identity: str) -> None:
        """Ends the session, if it is still there."""

    @abstractmethod
    def in_the_way(self, connection: sa.Connection, tables: Sequence[str]) -> list[Obstacle]:
        """The transactions, oldest first, that a change of `tables` would have to wait for."""

    def is_pooled(self, connection: sa.Connection) -> bool:
        """Whether a pooler stands between, so that the next transaction may be in another session."""
        return False


class NoSessions(Sessions):
    """An engine without a server."""

    def identity(self, connection: sa.Connection) -> str:
        """Empty."""
        return ""

    def lives(self, connection: sa.Connection, identity: str) -> bool:
        """Never."""
        return False

    def end(self, connection: sa.Connection, identity: str) -> None:
        """Nothing to end: the process that holds the file is the session."""

    def in_the_way(self, connection: sa.Connection, tables: Sequence[str]) -> list[Obstacle]:
        """Nobody who could be named."""
        return []


class PostgreSQLSessions(Sessions):
    """Backends, told apart by their process and the second in which they started."""

    _FOUND = (
        "FROM pg_stat_activity WHERE pid = :pid AND EXTRACT(EPOCH FROM date_trunc('second', backend_start)) = :start"
    )

    def identity(self, connection: sa.Connection) -> str:
        """Of a pooled connection, the backend that this transaction is in."""
        query = (
            "SELECT pid || '@' || EXTRACT(EPOCH FROM date_trunc('second', backend_start))::bigint"
            " FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        )
        return str(connection.exec_driver_sql(query).scalar_one())

    def lives(self, connection: sa.Connection, identity: str) -> bool:
        """By pg_stat_activity."""
        return connection.execute(sa.text(f"SELECT 1 {self._FOUND}"), _numbers(identity)).first() is not None

    def end(self, connection: sa.Connection, identity: str) -> None:
        """pg_terminate_backend."""
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) {self._FOUND}"), _numbers(identity))

    def in_the_way(self, connection: sa.Connection, tables: Sequence[str]) -> list[Obstacle]:
        """Those that hold a lock on a table, or a snapshot that an index built concurrently must outlive."""
        rows = connection.execute(
            sa.text(
                "SELECT a.pid, COALESCE(a.usename, '?'), COALESCE(host(a.client_addr), 'local'),"
                " EXTRACT(EPOCH FROM clock_timestamp() - a.xact_start)::int, COALESCE(a.state, '?')"
                " FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() AND a.datname = current_database()"
                " AND clock_timestamp() - a.xact_start > interval '1 second' AND (a.backend_xmin IS NOT NULL OR EXISTS"
                " (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
                " WHERE l.pid = a.pid AND l.granted AND c.relname = ANY(:tables))) ORDER BY a.xact_start"
            ),
            {"tables": list(tables)},
        )
        return [_obstacle(row) for row in rows]

    def is_pooled(self, connection: sa.Connection) -> bool:
        """A pooler makes up the process ID that it tells its clients."""
        driver: Any = connection.connection.driver_connection
        told = driver.info.backend_pid
        return bool(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() != told)


class MySQLSessions(Sessions):
    """Threads, told apart by their number and the second in which the server started."""

    def identity(self, connection: sa.Connection) -> str:
        """CONNECTION_ID() and the server's start."""
        number = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
        return f"{number}@{self._started(connection)}"

    def lives(self, connection: sa.Connection, identity: str) -> bool:
        """By the process list; a server that was started anew has none of the old sessions."""
        numbers = _numbers(identity)
        # Two looks at the clock may fall into different seconds.
        if abs(self._started(connection) - numbers["start"]) > 2:
            return False
        query = sa.text("SELECT 1 FROM information_schema.processlist WHERE id = :pid")
        return connection.execute(query, {"pid": numbers["pid"]}).first() is not None

    def end(self, connection: sa.Connection, identity: str) -> None:
        """KILL CONNECTION; one that is gone already is what was wanted."""
        if not self.lives(connection, identity):
            return
        try:
            connection.exec_driver_sql(f"KILL CONNECTION {_numbers(identity)['pid']}")
        except sa.exc.DBAPIError as problem:
            if problem.orig is None or problem.orig.args[0] != _NO_SUCH_THREAD:
                raise

    def in_the_way(self, connection: sa.Connection, tables: Sequence[str]) -> list[Obstacle]:
        """Open transactions older than a second; the server doesn't tell every account which tables they touch."""
        rows = connection.exec_driver_sql(
            "SELECT p.id, p.user, p.host, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), LOWER(p.command)"
            " FROM information_schema.innodb_trx t JOIN information_schema.processlist p"
            " ON p.id = t.trx_mysql_thread_id WHERE p.id <> CONNECTION_ID()"
            " AND TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) >= 1 ORDER BY t.trx_started"
        )
        return [_obstacle(row) for row in rows]

    def _started(self, connection: sa.Connection) -> int:
        uptime = connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Uptime'").one()[1]
        return int(connection.exec_driver_sql("SELECT UNIX_TIMESTAMP()").scalar_one()) - int(uptime)


def _numbers(identity: str) -> dict[str, int]:
    number, _, start = identity.partition("@")
    return {"pid": int(number), "start": int(start)}


def _obstacle(row: sa.Row[Any]) -> Obstacle:
    number, user, client, seconds, state = tuple(row)
    return Obstacle(str(number), str(user), str(client).partition(":")[0], max(0, int(seconds or 0)), str(state))
