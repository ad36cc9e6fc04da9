"""What a statement does on PostgreSQL: locks by pg_locks, rewriting by the file nodes, scans by the statistics."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.dialects.measuring import Blocked, Gauge, Measurement, keeps_rows_from_others
from chatctl.stores.sql.statements import Statement, commits_by_itself

#: From the weakest to the strongest.
_MODES = (
    "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
    "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
)  # fmt: skip
_EMPTIES = re.compile(r"\s*TRUNCATE\b", re.IGNORECASE)
_CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)

_TABLES = """
    SELECT c.oid, c.relname, pg_relation_filenode(c.oid) FROM pg_class c
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'm')
"""
_LOCKS = "SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND granted AND relation IS NOT NULL"
_SCANS = "SELECT relid, seq_scan FROM pg_stat_xact_user_tables"


@dataclass(frozen=True)
class _State:
    names: dict[int, str]
    files: dict[int, int]
    locks: set[tuple[int, str]]
    scans: dict[int, int]


class PostgreSQLGauge(Gauge):
    """Each statement in a transaction of its own, so that its locks can be told from those before it."""

    def measure(self, statement: Statement, cursor: Any, connection: sa.Connection) -> Measurement:
        """What runs CONCURRENTLY waits for every old transaction of the database, and is over before anybody can look:

        it runs without the word here, and its lock is the one that the manual names.
        """
        alone = commits_by_itself(connection)
        concurrent = _CONCURRENTLY.search(statement.sql) is not None
        if concurrent:
            statement = Statement(_CONCURRENTLY.sub("", statement.sql), statement.parameters)
        if alone:
            cursor.execute("BEGIN")
        before = self._state(cursor)
        statement.execute(cursor)
        after = self._state(cursor)
        if alone:
            cursor.execute("COMMIT")
        elif not connection.in_nested_transaction():
            self._commit(connection)
        found = self._verdict(statement, before, after)
        if not concurrent or found.locks == "none":
            return found
        locks = re.sub(r"(ACCESS EXCLUSIVE|SHARE) on", "SHARE UPDATE EXCLUSIVE on", found.locks)
        return Measurement("CONCURRENTLY", locks, "nothing", rewrites_table=False, scans=found.scans)

    def _state(self, cursor: Any) -> _State:
        with suppress(AttributeError):
            cursor = cursor.connection.cursor()
        tables = cursor.execute(_TABLES).fetchall()
        return _State(
            {oid: name for oid, name, _ in tables},
            {oid: node for oid, _, node in tables},
            {(oid, mode) for oid, mode in cursor.execute(_LOCKS).fetchall()},
            dict(cursor.execute(_SCANS).fetchall()),
        )

    def _commit(self, connection: sa.Connection) -> None:
        # On the driver's level: the transaction is Alembic's, and it shall not notice.
        if connection.connection.dbapi_connection is not None:
            connection.connection.dbapi_connection.commit()

    def _verdict(self, statement: Statement, before: _State, after: _State) -> Measurement:
        in_use = {oid: name for oid, name in before.names.items() if name not in self._made}
        strongest: dict[str, str] = {}
        for oid, mode in after.locks - before.locks:
            if oid in in_use and mode in _MODES:
                name = in_use[oid]
                strongest[name] = max(strongest.get(name, mode), mode, key=_MODES.index)
        moved = any(after.files.get(oid, before.files[oid]) != before.files[oid] for oid in in_use)
        # An emptied table has another file, too, but no row is written into it.
        rewritten = moved and _EMPTIES.match(statement.sql) is None
        scanned = any(after.scans.get(oid, 0) > before.scans.get(oid, 0) for oid in in_use)
        locks = "; ".join(f"{_words(mode)} on {name}" for name, mode in sorted(strongest.items()))
        blocks = _blocked(max(strongest.values(), key=_MODES.index, default=_MODES[0]))
        if keeps_rows_from_others(statement) and strongest:
            # Whoever wants one of those rows waits for the end of the transaction.
            blocks = "writes"
        return Measurement(None, locks or "none", blocks, rewritten, scanned or rewritten)


def _blocked(mode: str) -> Blocked:
    if mode == "AccessExclusiveLock":
        return "reads and writes"
    return "writes" if _MODES.index(mode) >= _MODES.index("ShareLock") else "nothing"


def _words(mode: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", mode.removesuffix("Lock")).upper()
