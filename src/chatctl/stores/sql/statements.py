"""Sees every statement that a revision sends, however it sends it, and decides what becomes of it.

A revision may use Alembic's operations, SQLAlchemy or plain SQL: all of it ends in a cursor's execute, and that is
where chatctl listens. A `Handler` is asked about each statement while its watch is on. What the handler itself sends,
and what other threads send, passes.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

from chatctl.stores.sql.answers import Answer
from chatctl.stores.sql.ordering import steady_order

_READ = re.compile(r"\s*(?:SELECT|SHOW|EXPLAIN|DESCRIBE|DESC|VALUES|TABLE)\b", re.IGNORECASE)
_PRAGMA_READ = re.compile(r"\s*PRAGMA\s+[^=]*$", re.IGNORECASE)
_CONTROL = re.compile(r"\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|START TRANSACTION)\b", re.IGNORECASE)
_CTE_READ = re.compile(r"\s*WITH\b(?!.*\b(?:INSERT|UPDATE|DELETE|MERGE)\b)", re.IGNORECASE | re.DOTALL)
_ROWS = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|COPY|LOAD)\b", re.IGNORECASE)
_SESSION = re.compile(r"\s*(?:SET(?!\s+STATEMENT\b)|RESET)\b", re.IGNORECASE)
_CATALOGUE = re.compile(
    r"\s*(?:SHOW|DESC|DESCRIBE|PRAGMA)\b|\b(?:information_schema|pg_catalog|sqlite_master|sqlite_schema)\b|\bpragma_"
    r"|\bpg_\w+\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Statement:
    """One statement: its text as the server gets it, and its parameters."""

    sql: str
    parameters: Any = None

    @property
    def is_session_setting(self) -> bool:
        """Whether it changes only the session: it must run again on every connection, and needs no journal."""
        return _SESSION.match(self.sql) is not None

    @property
    def changes_rows_only(self) -> bool:
        """Whether it leaves the schema alone, so that it rolls back on every engine."""
        return _ROWS.match(self.sql) is not None

    @property
    def reads_catalogue(self) -> bool:
        """Whether it asks what tables there are and what they look like, rather than what is in them."""
        return _CATALOGUE.search(self.sql) is not None

    def execute(self, cursor: Any) -> None:
        """Sends it."""
        if self.parameters:
            many = isinstance(self.parameters, list)
            (cursor.executemany if many else cursor.execute)(self.sql, self.parameters)
        else:
            cursor.execute(self.sql)

    def names(self, table: str) -> bool:
        """Whether it names the table (or the index), in whatever case."""
        return re.search(rf"(?<![\w$]){re.escape(table)}(?![\w$])", self.sql, re.IGNORECASE) is not None


class Handler(Protocol):
    """Decides what becomes of each statement."""

    def write(self, statement: Statement, cursor: Any, connection: sa.Connection) -> bool | Answer:
        """True, or what it answers, if the write is dealt with (run or left out by the handler), False to let it run
        as usual."""

    def read(self, query: Statement, cursor: Any, connection: sa.Connection) -> Answer | None:
        """What the query answers, if the handler knows or has asked; None to let it run as usual."""


class Watch:
    """Asks `handler` about every statement of this thread on `target`, an engine or all of them, while it is on."""

    def __init__(self, target: sa.Engine | type[sa.Engine], handler: Handler) -> None:
        self._target = target
        self._handler = handler
        self._thread = threading.get_ident()
        self._is_on = False

    @property
    def is_on(self) -> bool:
        """Whether the handler is asked at this moment."""
        return self._is_on

    @contextmanager
    def listening(self) -> Iterator[Watch]:
        """Listens while the block runs, and hears nothing until it is turned on."""
        events: dict[str, Callable[..., Any]] = {
            "do_execute": self._on_execute,
            "do_executemany": self._on_execute,
            "do_execute_no_params": self._on_execute_bare,
        }
        for name, listener in events.items():
            sa.event.listen(self._target, name, listener)
        try:
            with steady_order():
                yield self
        finally:
            for name, listener in events.items():
                sa.event.remove(self._target, name, listener)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Turned on while the block runs."""
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False

    def _on_execute(self, cursor: Any, sql: str, parameters: Any, context: Any) -> bool | None:
        if not self._is_on or threading.get_ident() != self._thread or _CONTROL.match(sql):
            return None
        statement = Statement(sql.strip(), parameters or None)
        # What the handler asks the database for itself is none of the revision's.
        self._is_on = False
        try:
            dealt = self._ask(statement, cursor, context.root_connection)
            if isinstance(dealt, Answer):
                _tell(dealt, cursor, context)
            return True if dealt else None
        finally:
            self._is_on = True

    def _on_execute_bare(self, cursor: Any, sql: str, context: Any) -> bool | None:
        return self._on_execute(cursor, sql, None, context)

    def _ask(self, statement: Statement, cursor: Any, connection: sa.Connection) -> bool | Answer | None:
        answering = self._handler.read if is_read(statement.sql) else self._handler.write
        return answering(statement, cursor, connection)


def _tell(answer: Answer, cursor: Any, context: Any) -> None:
    """Gives the answer to whoever has sent the statement, in the place of the cursor's."""
    answer.raise_error(context.dialect.loaded_dbapi)
    if answer.changed is not None:
        context._rowcount = answer.changed
        context.get_lastrowid = lambda: answer.last_key
        # Of an INSERT of many rows each batch is asked for what it returns.
        context.fetchall_for_returning = lambda _: answer.rows
    if answer.changed is None or answer.description:
        context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
            cursor, alternate_description=answer.description, initial_buffer=deque(answer.rows)
        )


def is_read(sql: str) -> bool:
    """Whether the statement changes nothing: it reads, or it only steers the transaction."""
    return any(pattern.match(sql) for pattern in (_READ, _CTE_READ, _PRAGMA_READ, _CONTROL))


def commits_by_itself(connection: sa.Connection) -> bool:
    """Whether each statement on this connection is a transaction of its own."""
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return True
    driver: Any = connection.connection.dbapi_connection
    asked = getattr(driver, "get_autocommit", None)
    return bool(asked() if asked is not None else getattr(driver, "autocommit", False) is True)
