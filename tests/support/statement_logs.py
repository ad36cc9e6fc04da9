"""What a database was really sent, in its own words: a server's statement log, or SQLite's trace."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path

import pymysql
import sqlalchemy as sa
from tests.support.servers import MariaDBServer, PostgreSQLServer

#: Where `sabotage.with_trace` writes each statement that SQLite runs, with a NUL behind it.
TRACE_VARIABLE = "CHATCTL_TEST_TRACE"

_READ = re.compile(r"(?:SELECT|SHOW|EXPLAIN|DESC|PRAGMA(?! legacy_alter_table)|VALUES)\b", re.I)
_CONTROL = re.compile(r"(?:BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|KILL|SET(?! STATEMENT\s)|RESET|USE)\b", re.I)
#: chatctl's own tables, but for those that a revision makes and fills as part of its plan.
_OWN = re.compile(r"\bchatctl_(?!kept_columns|rebuilt_)")
_PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|\?")
#: A value as a driver writes it into a statement, or the number that PostgreSQL's log has in its place.
_VALUE = r"(?:\$\d+|'.*'|[-\w.]+)"


class StatementsSent(ABC):
    """The statements that a database has been sent since `mark`, in order."""

    @abstractmethod
    def mark(self) -> None:
        """Forgets what was sent so far."""

    @abstractmethod
    def everything(self) -> list[str]:
        """All of it, as it is in the log."""

    def changes(self) -> list[str]:
        """What changes the application's tables: neither reads, nor settings, nor chatctl's own bookkeeping."""
        sent = [text.strip().rstrip(";") for text in self.everything()]
        return [text for text in sent if text and not (_READ.match(text) or _CONTROL.match(text) or _OWN.search(text))]


class MariaDBStatements(StatementsSent):
    """The general log, written into a table: `own_server("mysql", MariaDBStatements.SETTINGS)`."""

    SETTINGS = {"general-log": "1", "log-output": "TABLE"}

    def __init__(self, server: MariaDBServer) -> None:
        self._server = server

    def mark(self) -> None:
        """Empties the log."""
        with self._server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("TRUNCATE TABLE mysql.general_log")

    def everything(self) -> list[str]:
        """The table's rows."""
        with self._server.connect(cursorclass=pymysql.cursors.Cursor) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Query'")
            return [text for (text,) in cursor.fetchall() if "mysql.general_log" not in text]


class PostgreSQLStatements(StatementsSent):
    """The server's log: `own_server("postgresql", PostgreSQLStatements.SETTINGS)`."""

    SETTINGS = {"log_statement": "all", "log_line_prefix": "%m [%p] "}
    _ENTRY = re.compile(r"(?m)^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \S+ \[\d+\] )")
    _SENT = re.compile(r"\S+ \S+ \S+ \[\d+\] LOG:  (?:statement|execute [^:]+): (?P<sql>.*)", re.DOTALL)

    def __init__(self, server: PostgreSQLServer) -> None:
        self._log = server.log
        self._start = 0

    def mark(self) -> None:
        """Remembers how long the file is."""
        self._start = self._log.stat().st_size

    def everything(self) -> list[str]:
        """The entries behind that place; a statement's further lines are indented by a tab."""
        text = self._log.read_bytes()[self._start :].decode()
        found = (self._SENT.match(entry) for entry in self._ENTRY.split(text))
        return [match["sql"].replace("\n\t", "\n").strip() for match in found if match]


class SQLiteStatements(StatementsSent):
    """What SQLite itself says that it runs, in `file`; `sabotage.with_trace` lets it say so."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def mark(self) -> None:
        """Empties the file."""
        self._file.write_text("")

    def everything(self) -> list[str]:
        """Its entries; what a statement runs within itself is a comment in SQLite's trace."""
        entries = self._file.read_text().split("\0")
        return [entry for entry in entries if entry and not entry.startswith("--")]


def trace_sqlite(file: Path) -> None:
    """From now on each connection to a SQLite database that lies on disk, scratch copies apart, appends to `file`."""

    @sa.event.listens_for(sa.Engine, "connect")
    def trace(connection: object, record: object) -> None:
        execute = getattr(connection, "execute", None)
        if execute is None or not hasattr(connection, "set_trace_callback"):
            return
        (place,) = execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
        if place and "chatctl-scratch-" not in place:
            connection.set_trace_callback(lambda sql: _append(file, sql))


def _append(file: Path, sql: str) -> None:
    with file.open("a", encoding="utf-8") as log:
        log.write(f"{sql}\0")


def differs(planned: list[str], sent: list[str]) -> list[str]:
    """Where the statements that were sent aren't the planned ones, one by one; empty where they are."""
    found = [
        f"planned: {plan}\n   sent: {real}"
        for plan, real in zip(planned, sent, strict=False)
        if not _pattern(plan).fullmatch(real)
    ]
    found += [f"planned and not sent: {plan}" for plan in planned[len(sent) :]]
    return found + [f"sent and not planned: {real}" for real in sent[len(planned) :]]


def _pattern(planned: str) -> re.Pattern[str]:
    return re.compile(_VALUE.join(map(re.escape, _PLACEHOLDER.split(planned.strip().rstrip(";")))), re.DOTALL)
