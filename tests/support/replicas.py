"""A server that follows another one by the engine's own replication, and can be told to stop following."""

from __future__ import annotations

from typing import Any

from tests.support.mariadb import PASSWORD, USER, MariaDBServer
from tests.support.postgresql import PASSWORD as PG_PASSWORD
from tests.support.postgresql import USER as PG_USER
from tests.support.postgresql import PostgreSQLServer, program


class MariaDBPrimary(MariaDBServer):
    """A server with a binary log."""

    def __init__(self) -> None:
        super().__init__({"log-bin": "binlog", "server-id": "1"})

    def follower(self) -> MariaDBReplica:
        """A new server that has everything this one has, and goes on following it."""
        return MariaDBReplica(self)


class MariaDBReplica(MariaDBServer):
    """Follows `primary` from its first statement on."""

    def __init__(self, primary: MariaDBPrimary) -> None:
        super().__init__({"server-id": "2"})
        self._tell(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, MASTER_USER='{USER}',"
            f" MASTER_PASSWORD='{PASSWORD}', MASTER_USE_GTID=slave_pos",
            "START SLAVE",
        )

    def hold(self) -> None:
        """Applies nothing any more."""
        self._tell("STOP SLAVE SQL_THREAD")

    def release(self) -> None:
        """Goes on."""
        self._tell("START SLAVE SQL_THREAD")

    def _tell(self, *statements: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


class PostgreSQLPrimary(PostgreSQLServer):
    """A server that others may stream from, as every one may by default."""

    def follower(self) -> PostgreSQLReplica:
        """A new server that has everything this one has, and goes on following it."""
        return PostgreSQLReplica(self)


class PostgreSQLReplica(PostgreSQLServer):
    """A hot standby of `primary`."""

    def __init__(self, primary: PostgreSQLPrimary) -> None:
        self._primary = primary
        super().__init__()

    def hold(self) -> None:
        """Replays nothing any more."""
        self._tell("SELECT pg_wal_replay_pause()")

    def release(self) -> None:
        """Goes on."""
        self._tell("SELECT pg_wal_replay_resume()")

    def _prepare(self) -> None:
        source = f"host=127.0.0.1 port={self._primary.port} user={PG_USER} password={PG_PASSWORD}"
        self._run([program("pg_basebackup"), "-D", self.data, "-d", source, "-R", "-X", "stream", "-c", "fast"])

    def _tell(self, statement: str) -> None:
        with self.connect(autocommit=True) as connection:
            connection.execute(statement)


#: The engine → its primary.
PRIMARIES: dict[str, Any] = {"mariadb": MariaDBPrimary, "postgresql": PostgreSQLPrimary}
