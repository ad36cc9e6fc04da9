"""Measures what a statement locks and rewrites, by running it in a scratch copy and asking the server.

Tables that the plan itself has made don't count: the application doesn't know them yet.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from chatctl.stores.sql.statements import Statement

Blocked = Literal["nothing", "writes", "reads and writes"]

_CREATE_TABLE = re.compile(r"\s*CREATE\s+(?:TEMPORARY\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>[\w\"`.]+)", re.I)

_ADDS_ROWS = re.compile(r"\s*INSERT\b(?!.*\bON\s+(?:CONFLICT|DUPLICATE)\b)", re.IGNORECASE | re.DOTALL)

#: Bytes a second that a server rewrites, and that it reads, on a modest disk. Estimates are made with these.
REWRITE_RATE = 30_000_000
SCAN_RATE = 150_000_000


@dataclass(frozen=True)
class Measurement:
    """What one statement does to the tables that are in use: by which way, which locks, and who has to wait."""

    algorithm: str | None
    locks: str
    blocks: Blocked
    rewrites_table: bool
    scans: bool = False

    def seconds(self, size_bytes: int | None) -> float:
        """How long it would block, as far as the table's size tells; 0 where it needs a moment only."""
        if self.blocks == "nothing" or size_bytes is None:
            return 0.0
        rate = REWRITE_RATE if self.rewrites_table else SCAN_RATE if self.scans else None
        return round(size_bytes / rate, 1) if rate else 0.0


NOTHING = Measurement(None, "none", "nothing", rewrites_table=False)


class Gauge(ABC):
    """Runs statements in one scratch copy and measures each."""

    def __init__(self) -> None:
        self._made: set[str] = set()

    def run(self, statement: Statement, cursor: Any, connection: sa.Connection) -> Measurement | None:
        """Runs the statement; what it did, or None for what changes only the session."""
        if statement.is_session_setting:
            statement.execute(cursor)
            return None
        found = self.measure(statement, cursor, connection)
        made = _CREATE_TABLE.match(statement.sql)
        if made is not None:
            self._made.add(re.sub(r"[\"`]", "", made["name"]).rpartition(".")[2])
        return found

    @abstractmethod
    def measure(self, statement: Statement, cursor: Any, connection: sa.Connection) -> Measurement:
        """Runs the statement and measures it."""


def keeps_rows_from_others(statement: Statement) -> bool:
    """Whether it changes rows that others may want; rows that are only added are nobody's yet."""
    return statement.changes_rows_only and _ADDS_ROWS.match(statement.sql) is None


class SQLiteGauge(Gauge):
    """One writer at a time: what matters is whether a table is copied, or read from end to end, meanwhile."""

    _COPIES = re.compile(
        r"\s*(?:INSERT\s+INTO\b.*\bSELECT\b.*\bFROM\b|ALTER\s+TABLE\b.*\bDROP\s+COLUMN\b)", re.IGNORECASE | re.DOTALL
    )

    _READS_ALL = re.compile(
        r"\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX\b.*?\bON\s+(?P<table>\"[^\"]+\"|\w+)|UPDATE\b|DELETE\b)",
        re.IGNORECASE | re.DOTALL,
    )

    def measure(self, statement: Statement, cursor: Any, connection: sa.Connection) -> Measurement:
        """By its form; SQLite says in its manual which ones write every row anew."""
        statement.execute(cursor)
        copies = self._COPIES.match(statement.sql) is not None
        reads = self._READS_ALL.match(statement.sql)
        fresh = reads is not None and (reads["table"] or "").strip('"') in self._made
        takes_long = copies or (reads is not None and not fresh)
        blocks: Blocked = "writes" if takes_long else "nothing"
        return Measurement(None, "the database, against writers", blocks, copies, scans=takes_long)


class MySQLGauge(Gauge):
    """Asks for the gentlest way first, and goes down until the server takes one."""

    _ALTERS = re.compile(
        r"\s*(?:SET\s+STATEMENT\b.*?\bFOR\s+)?(?P<verb>ALTER\s+(?:IGNORE\s+)?TABLE\s+(?:IF\s+EXISTS\s+)?(?P<altered>[\w`.]+)"
        r"|(?:CREATE\s+(?:\w+\s+)*INDEX|DROP\s+INDEX)\b.*?\bON\s+(?P<indexed>[\w`.]+))",
        re.IGNORECASE | re.DOTALL,
    )
    _DROPS_INDEX = re.compile(r"^\s*DROP\s+INDEX\s+(?P<name>[\w`]+)\s+ON\s+(?P<table>[\w`.]+)$", re.IGNORECASE)
    _REFUSED = (1845, 1846, 1221)
    #: Algorithm, lock, and what they mean: name, who waits, whether the table is rewritten.
    _RUNGS: tuple[tuple[str, str, str, Blocked, bool], ...] = (
        ("INSTANT", "DEFAULT", "INSTANT", "nothing", False),
        ("NOCOPY", "NONE", "INPLACE", "nothing", False),
        ("INPLACE", "NONE", "INPLACE", "nothing", True),
        ("NOCOPY", "SHARED", "INPLACE", "writes", False),
        ("INPLACE", "SHARED", "INPLACE", "writes", True),
        ("COPY", "NONE", "COPY", "nothing", True),
        ("COPY", "SHARED", "COPY", "writes", True),
        ("COPY", "EXCLUSIVE", "COPY", "reads and writes", True),
    )

    def measure(self, statement: Statement, cursor: Any, connection: sa.Connection) -> Measurement:
        """An ALTER and its kin by the ladder; what takes no algorithm by what it is."""
        found = self._ALTERS.match(statement.sql)
        if found is None:
            statement.execute(cursor)
            return self._plain(statement)
        table = (found["altered"] or found["indexed"]).replace("`", "").rpartition(".")[2]
        if table in self._made:
            statement.execute(cursor)
            return NOTHING
        # Not every server takes an algorithm for DROP INDEX, which is an ALTER TABLE by another name.
        sql = self._DROPS_INDEX.sub(r"ALTER TABLE \g<table> DROP INDEX \g<name>", statement.sql.rstrip().rstrip(";"))
        comma = bool(found["altered"]) or sql.startswith("ALTER")
        return self._climb_down(Statement(sql, statement.parameters), cursor, comma=comma)

    def _climb_down(self, statement: Statement, cursor: Any, *, comma: bool) -> Measurement:
        sql = statement.sql
        for algorithm, lock, name, blocks, rewrites in self._rungs():
            between = ", " if comma else " "
            locked = f"{between}LOCK={lock}" if lock != "DEFAULT" else ""
            try:
                Statement(f"{sql}{between}ALGORITHM={algorithm}{locked}", statement.parameters).execute(cursor)
            except Exception as problem:
                if problem.args and problem.args[0] in self._REFUSED:
                    continue
                raise
            return Measurement(name, lock if lock != "DEFAULT" else "NONE", blocks, rewrites, scans=blocks != "nothing")
        # What names an algorithm of its own, or knows none.
        statement.execute(cursor)
        return Measurement(None, "EXCLUSIVE", "reads and writes", rewrites_table=False)

    def _rungs(self) -> tuple[tuple[str, str, str, Blocked, bool], ...]:
        """MySQL has no word for a change in place that rewrites nothing."""
        return tuple(rung for rung in self._RUNGS if rung[0] != "NOCOPY")

    def _plain(self, statement: Statement) -> Measurement:
        if statement.changes_rows_only:
            fresh = any(statement.names(table) for table in self._made) or not keeps_rows_from_others(statement)
            return NOTHING if fresh else Measurement(None, "the rows that it changes", "writes", False, scans=True)
        if re.match(r"\s*(?:DROP|TRUNCATE)\b", statement.sql, re.IGNORECASE):
            # As long as the disk needs to let go of the file.
            return Measurement(None, "EXCLUSIVE", "reads and writes", rewrites_table=False)
        if re.match(r"\s*RENAME\b", statement.sql, re.IGNORECASE):
            return Measurement(None, "EXCLUSIVE", "nothing", rewrites_table=False)
        return NOTHING


class MariaDBGauge(MySQLGauge):
    """NOCOPY is MariaDB's word for a change in place that rewrites nothing."""

    def _rungs(self) -> tuple[tuple[str, str, str, Blocked, bool], ...]:
        return self._RUNGS
