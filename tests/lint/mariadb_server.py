"""What MariaDB really does with a schema change, in the words of the linter's harms.

Whether a change rewrites or blocks is what the server says when it is asked for less: ALGORITHM=NOCOPY or LOCK=NONE.
Where it says that nothing is rewritten and the table has moved to another tablespace all the same, it is not believed.
Whether a change breaks the application is seen by sending what the application sent before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pymysql

from chatctl.services.lint.findings import Harm

#: How the application adds a row to each table, `{n}` being a number.
INSERTS = {
    "users": "INSERT INTO users (id, name) VALUES ('u{n}', 'n{n}')",
    "messages": "INSERT INTO messages (user_id) VALUES ('u1')",
    "words": "INSERT INTO words (id) VALUES ({n})",
    "packed": "INSERT INTO packed (id) VALUES ({n})",
    "checked": "INSERT INTO checked (id) VALUES ({n})",
    "nopk": "INSERT INTO nopk (a) VALUES ({n})",
    "latin": "INSERT INTO latin (id) VALUES ({n})",
    "numbers": "INSERT INTO numbers (id) VALUES ({n})",
    "geo": "INSERT INTO geo (id, g) VALUES ({n}, POINT(1, 1))",
    "redundant": "INSERT INTO redundant (id) VALUES ({n})",
}
#: A case may forbid NULL, or want a UNIQUE index: that the rows allow it is a condition of its own.
_FILLED = {
    "users": "UPDATE users SET age = SUBSTR(id, 2), mid = 'm', big = 'b', price = 1, bio = 't', email = id",
    "words": "UPDATE words SET text = id, title = id",
    "packed": "UPDATE packed SET text = 't', n = id",
    "checked": "UPDATE checked SET n = 10",
    "nopk": "UPDATE nopk SET b = a",
    "latin": "UPDATE latin SET name = 'n', n = 1",
    "numbers": "UPDATE numbers SET n = id",
    "geo": "UPDATE geo SET n = id",
    "redundant": "UPDATE redundant SET v = 'v', c = 'c'",
}
_NEEDS = {"messages": ["users"]}
_STRICT = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"
_REFUSED = (1845, 1846)


class Observer:
    """Runs a case on tables of its own and tells which harms it did."""

    def __init__(self, connection: pymysql.connections.Connection[Any], schema: str) -> None:
        self._cursor = connection.cursor()
        definitions = [text.strip() for text in schema.split(";") if "CREATE TABLE" in text]
        self._definitions = {re.search(r"CREATE TABLE (\w+)", text)[1]: text for text in definitions}  # type: ignore[index]  # it holds the words

    def harms(self, script: str) -> set[Harm]:
        """What the statements of `script` do, all taken together."""
        tables = [name for name in self._definitions if re.search(rf"\b{name}\b", script)]
        self._make(tables)
        reads = {name: self._columns(name) for name in tables}
        found = {harm for statement in filter(None, map(str.strip, script.split(";"))) for harm in self._run(statement)}
        if any(not self._still_works(name, columns) for name, columns in reads.items()):
            found.add(Harm.BREAKS)
        return found

    def _make(self, tables: list[str]) -> None:
        self._execute(f"SET SESSION foreign_key_checks = 0, sql_mode = '{_STRICT}'")
        self._cursor.execute("SHOW TABLES")
        for (name,) in self._cursor.fetchall():
            self._execute(f"DROP TABLE `{name}`")
        needed = [*(parent for name in tables for parent in _NEEDS.get(name, [])), *tables]
        for name in dict.fromkeys(needed):
            self._execute(self._definitions[name])
            for number in (1, 2):
                self._execute(INSERTS[name].format(n=number))
        for statement in (_FILLED[name] for name in needed if name in _FILLED):
            self._execute(statement)
        self._execute("SET SESSION foreign_key_checks = 1")

    def _run(self, statement: str) -> set[Harm]:
        target = re.search(r"(?i)(?:ALTER TABLE|\bON|OPTIMIZE TABLE) (\w+)", statement)
        if target is None or target[1] not in self._definitions:
            self._execute(statement)
            return set()
        before = self._tablespace(target[1])
        alter = re.sub(r"(?i)^OPTIMIZE TABLE (\w+)", r"ALTER TABLE \1 FORCE", statement)
        alter = re.sub(r"(?i)^DROP INDEX (\w+) ON (\w+)", r"ALTER TABLE \2 DROP INDEX \1", alter)
        for algorithm, lock, harms in _ANSWERS:
            with suppress(_RefusedError):
                self._try(_asking(alter, algorithm, lock))
                moved = self._tablespace(target[1]) not in (before, None) or not self._is_innodb(target[1], statement)
                return {Harm.REWRITES, Harm.BLOCKS} if moved and Harm.REWRITES not in harms else set(harms)
        self._execute(statement)
        return {Harm.REWRITES, Harm.BLOCKS}

    def _try(self, statement: str) -> None:
        try:
            self._execute(statement)
        except pymysql.err.MySQLError as problem:
            # Partitioning takes no such clause beside it.
            if problem.args[0] in _REFUSED or (problem.args[0] == 1064 and "PARTITION" in statement):
                raise _RefusedError from problem
            raise

    def _tablespace(self, table: str) -> int | None:
        self._cursor.execute(
            "SELECT space FROM information_schema.innodb_sys_tables WHERE name = CONCAT(DATABASE(), '/', %s)", (table,)
        )
        row = self._cursor.fetchone()
        return row[0] if row else None

    def _is_innodb(self, table: str, statement: str) -> bool:
        renamed = re.search(r"(?i)\bRENAME (?:TO )?(?!COLUMN|INDEX|KEY)", statement)
        return bool(renamed) or self._tablespace(table) is not None

    def _columns(self, table: str) -> list[str]:
        self._cursor.execute(f"SHOW COLUMNS FROM {table}")
        return [row[0] for row in self._cursor.fetchall()]

    def _still_works(self, table: str, columns: list[str]) -> bool:
        try:
            self._execute(f"SELECT {', '.join(columns)} FROM {table}")
            self._execute(INSERTS[table].format(n=9))
        except pymysql.err.MySQLError:
            return False
        return True

    def _execute(self, statement: str) -> None:
        self._cursor.execute(statement)


class _RefusedError(Exception):
    """The server can't do it with so little."""


_ANSWERS: tuple[tuple[str, str | None, frozenset[Harm]], ...] = (
    ("INSTANT", None, frozenset()),
    ("NOCOPY", "NONE", frozenset()),
    ("INPLACE", "NONE", frozenset({Harm.REWRITES})),
    ("NOCOPY", "SHARED", frozenset({Harm.BLOCKS})),
)


def _asking(statement: str, algorithm: str, lock: str | None) -> str:
    clauses = [f"ALGORITHM={algorithm}", *([f"LOCK={lock}"] if lock else [])]
    if re.match(r"(?i)CREATE\b", statement):
        return f"{statement} {' '.join(clauses)}"
    return re.sub(r"(?i)(ALTER TABLE \w+ )", lambda match: match[1] + ", ".join(clauses) + ", ", statement, count=1)


def cases(text: str) -> Iterator[str]:
    """The cases in a file: one a line."""
    yield from (line for line in text.splitlines() if line.strip() and not line.startswith("--"))
