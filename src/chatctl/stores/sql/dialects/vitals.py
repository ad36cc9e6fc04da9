"""How a server is set up, as far as work on it depends on that: its version, its encryption, its replication."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Vitals:
    """What a server says of itself. `encrypted` is None where nothing goes over a network."""

    version: str
    encrypted: bool | None
    read_only: bool


@dataclass(frozen=True)
class Replication:
    """How a replica keeps up: seconds behind, or None with the reason where it doesn't."""

    seconds_behind: float | None
    problem: str | None = None


def read_vitals(connection: sa.Connection) -> Vitals:
    """The vitals of the server at the other end."""
    return _READERS[connection.dialect.name](connection)


def read_replication(connection: sa.Connection) -> Replication | None:
    """How the server at the other end follows its primary; None where it is no replica."""
    reader = _REPLICATION.get(connection.dialect.name)
    return reader(connection) if reader else None


def _sqlite(connection: sa.Connection) -> Vitals:
    return Vitals(str(connection.exec_driver_sql("SELECT sqlite_version()").scalar()), None, False)


def _mysql(connection: sa.Connection) -> Vitals:
    version, read_only = connection.exec_driver_sql("SELECT VERSION(), @@global.read_only").one()
    cipher = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'").one()[1]
    return Vitals(_number(version), None if _by_socket(connection) else bool(cipher), bool(read_only))


def _by_socket(connection: sa.Connection) -> bool:
    return "unix_socket" in connection.engine.url.query


def _postgresql(connection: sa.Connection) -> Vitals:
    row = connection.exec_driver_sql(
        "SELECT current_setting('server_version'), inet_server_addr() IS NOT NULL,"
        " COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),"
        # Not the session's own setting: chatctl asks on a connection that reads alone.
        " pg_is_in_recovery() OR EXISTS (SELECT 1 FROM pg_db_role_setting s, unnest(s.setconfig) c"
        " WHERE c = 'default_transaction_read_only=on' AND s.setrole IN (0, (SELECT usesysid FROM pg_user"
        " WHERE usename = current_user)) AND s.setdatabase IN (0, (SELECT oid FROM pg_database"
        " WHERE datname = current_database())))"
    ).one()
    return Vitals(_number(row[0]), bool(row[2]) if row[1] else None, bool(row[3]))


def _number(text: object) -> str:
    found = _NUMBERS.search(str(text))
    return found.group() if found else str(text)


def _mysql_replication(connection: sa.Connection) -> Replication | None:
    for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
        try:
            row = connection.exec_driver_sql(statement).mappings().first()
            break
        except sa.exc.ProgrammingError:
            continue  # the older spelling, or the newer one, is unknown
    else:
        return None
    if row is None:
        return None
    behind = row.get("Seconds_Behind_Source", row.get("Seconds_Behind_Master"))
    error = row.get("Last_SQL_Error") or row.get("Last_IO_Error") or "replication is stopped"
    return Replication(float(behind)) if behind is not None else Replication(None, str(error))


def _postgresql_replication(connection: sa.Connection) -> Replication | None:
    recovering, seconds, received = connection.exec_driver_sql(
        "SELECT pg_is_in_recovery(), CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0"
        # One that has replayed nothing yet is behind for as long as it runs.
        " ELSE EXTRACT(EPOCH FROM now() - COALESCE(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END,"
        " EXISTS (SELECT 1 FROM pg_stat_wal_receiver)"
    ).one()
    if not recovering:
        return None
    return Replication(float(seconds or 0)) if received else Replication(None, "it receives nothing from a primary")


_READERS: dict[str, Callable[[sa.Connection], Vitals]] = {
    "sqlite": _sqlite,
    "mysql": _mysql,
    "mariadb": _mysql,
    "postgresql": _postgresql,
}
_REPLICATION: dict[str, Callable[[sa.Connection], Replication | None]] = {
    "mysql": _mysql_replication,
    "mariadb": _mysql_replication,
    "postgresql": _postgresql_replication,
}
