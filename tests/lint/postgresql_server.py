"""What PostgreSQL really does with a schema change, in the words of the linter's harms.

A table is rewritten when its file node changes. Writes are blocked for as long as the table is large when a lock that
conflicts with them is held while the table is read or rewritten: the server counts the reads, and pg_locks names the
lock. Whether a change breaks the application is seen by sending what the application sent before.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg

from chatctl.services.lint.findings import Harm

#: How the application adds a row to each table.
INSERTS = {
    "users": "INSERT INTO users (id, name) VALUES ('q', 'q')",
    "messages": "INSERT INTO messages (user_id) VALUES ('u1')",
    "nopk": "INSERT INTO nopk (a) VALUES (1000)",
    "empty": "INSERT INTO empty (id) VALUES (1)",
}
_ROWS = (
    "INSERT INTO users (id, name, age, mid, price, bio, flag)"
    " SELECT 'u' || n, 'n' || n, n, 'm' || n, 1, 'b', true FROM generate_series(1, 200) n",
    "INSERT INTO messages (user_id) SELECT 'u' || n FROM generate_series(1, 200) n",
    "INSERT INTO nopk (a, b) SELECT n, n FROM generate_series(1, 200) n",
)
#: The locks that writes wait for.
_STRONG = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
_ALONE = re.compile(r"(?i)\bCONCURRENTLY\b|^\s*VACUUM\b|^\s*ALTER TYPE\b")
_STATE = """
    SELECT c.oid::int, pg_relation_filenode(c.oid)::int,
        pg_stat_get_xact_numscans(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid),
        EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.relation = c.oid AND l.mode = ANY(%s))
    FROM pg_class c WHERE c.oid = ANY(%s)
"""


class Observer:
    """Runs a case on tables of its own and tells which harms it did."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        # Where a rewrite depends on the session's time zone, it is one that rewrites.
        connection.execute("SET timezone = 'Europe/Berlin'")

    def harms(self, script: str) -> set[Harm]:
        """What the statements of `script` do, all taken together."""
        self._connection.execute("DROP SCHEMA public CASCADE")
        self._connection.execute("CREATE SCHEMA public")
        for statement in (*self._schema.split(";"), *_ROWS):
            self._connection.execute(re.sub(r"(?m)^--.*$", "", statement))
        reads = {name: self._columns(name) for name in INSERTS}
        found = {harm for statement in filter(None, map(str.strip, script.split(";"))) for harm in self._run(statement)}
        if any(not self._still_works(name, columns) for name, columns in reads.items()):
            found.add(Harm.BREAKS)
        return found

    def _run(self, statement: str) -> set[Harm]:
        known = self._connection.execute("SELECT oid::int FROM pg_class WHERE relname = ANY(%s)", [list(INSERTS)])
        oids = [row[0] for row in known.fetchall()]
        if _ALONE.search(statement):
            # It can't run in a transaction, so no lock is left to be seen; a rewrite of this kind holds the strongest.
            before = self._state(oids)
            self._connection.execute(statement)
            moved = any(before[oid][0] != state[0] for oid, state in self._state(oids).items())
            return {Harm.REWRITES, Harm.BLOCKS} if moved else set()
        with self._connection.transaction():
            before = self._state(oids)
            self._connection.execute(statement)
            after = self._state(oids)
        return {harm for oid, state in after.items() for harm in _harms(before[oid], state)}

    def _state(self, oids: list[int]) -> dict[int, tuple[int, int, bool]]:
        rows = self._connection.execute(_STATE, [list(_STRONG), oids]).fetchall()
        return {oid: (node, reads, locked) for oid, node, reads, locked in rows}

    def _columns(self, table: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [table]
        )
        return [row[0] for row in rows.fetchall()]

    def _still_works(self, table: str, columns: list[str]) -> bool:
        try:
            self._connection.execute(f"SELECT {', '.join(columns)} FROM {table}")
            self._connection.execute(INSERTS[table])
        except psycopg.Error:
            return False
        return True


def _harms(before: tuple[int, int, bool], after: tuple[int, int, bool]) -> set[Harm]:
    rewritten, read, locked = before[0] != after[0], after[1] > before[1], after[2]
    found = {Harm.REWRITES} if rewritten else set()
    if locked and (rewritten or read):
        found.add(Harm.BLOCKS)
    return found
