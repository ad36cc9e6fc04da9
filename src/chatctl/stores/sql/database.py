"""One database: its engine, its dialect, and errors in chatctl's words.

Whatever goes wrong on a connection made here is raised as a ChatctlError; the driver's error is its cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import sqlalchemy as sa

from chatctl.errors import AccessDeniedError, CannotConnectError, ChatctlError, ConnectionLostError, RetryableError
from chatctl.stores.sql.dialects import READS_ONLY, Dialect, dialect_for, normalise_url, title_of
from chatctl.stores.sql.redirecting import mark_own

#: How long one of many waits for a connection.
_POOL_SECONDS = 10.0


class Database:
    """The database at `url`, as SQLAlchemy writes URLs (bare schemes get chatctl's driver).

    A read-only one can't be written through: the server or the file's mode refuses, not only our good will.
    Nothing connects before the first use. Raises ConfigurationError where the URL can't be used. `connections` are the
    most that are open at once, for whoever serves many. `family` is the dialect as far as the URL tells it.
    """

    def __init__(self, url: str, *, read_only: bool = False, connections: int | None = None) -> None:
        self.url = normalise_url(url)
        self.read_only = read_only
        self._connections = connections
        self.family = dialect_for(self.url)
        self._title = title_of(url, self.family)

    @cached_property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, with chatctl's session settings and error translation."""
        options = self.family.engine_options(self.url, read_only=self.read_only)
        if self._connections is not None and "poolclass" not in options:
            options |= {"pool_size": self._connections, "max_overflow": 0, "pool_timeout": _POOL_SECONDS}
        engine = sa.create_engine(self.family.prepare_url(self.url, read_only=self.read_only), **options)
        self.family.instrument(engine, read_only=self.read_only)
        mark_own(engine)
        return engine

    @cached_property
    def dialect(self) -> Dialect:
        """The dialect of the server that answers (connects once where the URL doesn't tell)."""
        with self.translating():
            return self.family.specialise(self.engine)

    @property
    def exists(self) -> bool:
        """False where the database is a file that isn't there."""
        return self.family.exists(self.url)

    @property
    def where(self) -> str:
        """Where the database is, for messages: never with a password, never with a user name."""
        title = self.dialect.title if "dialect" in self.__dict__ else self._title
        if self.url.host is None:
            return f"{title} database {self.url.database or 'in memory'}"
        port = f":{self.url.port}" if self.url.port else ""
        return f"{title} database {self.url.database or ''} at {self.url.host}{port}"

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection for reading: its transaction is rolled back at the end."""
        with self.translating(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that reads and nothing else: it keeps no writer waiting, on an engine with one writer too."""
        with self.translating(), self.engine.connect() as connection:
            yield connection.execution_options(**READS_ONLY)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A connection in a transaction that commits at the end, or rolls back on an error."""
        with self.translating(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def savepoint(self, connection: sa.Connection) -> Iterator[None]:
        """A savepoint in the open transaction: what is inside happens whole or not at all."""
        with self.translating():
            point = connection.begin_nested()
            try:
                with self.translating():
                    yield
            except (RetryableError, ConnectionLostError):
                # The server has ended the whole transaction, and the savepoint with it.
                raise
            except BaseException:
                if point.is_active:
                    point.rollback()
                raise
            point.commit()

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Raises the driver's errors as chatctl's; the driver's own is the cause."""
        try:
            yield
        except sa.exc.TimeoutError as problem:
            raise RetryableError(f"{self.where}: every connection is in use.") from problem
        except (sa.exc.DBAPIError, sa.exc.PendingRollbackError) as problem:
            original = _reason(problem)
            if original is None:
                raise
            if isinstance(original, ChatctlError):
                raise original from problem
            raise self.error(original) from original

    def close(self) -> None:
        """Gives every connection back."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    def error(self, problem: BaseException) -> ChatctlError:
        """The driver's `problem` in chatctl's words."""
        kind = self.family.classify(problem)
        text = str(problem.args[-1] if problem.args else problem).strip().splitlines()
        reason = text[0] if text else type(problem).__name__
        hint = None
        if issubclass(kind, AccessDeniedError):
            hint = "Check the user name and the password in the database URL."
        elif kind is CannotConnectError:
            hint = "Check the host, the port and the database name, and that the server is running."
        return kind(f"{self.where}: {reason}", hint=hint)


def _reason(problem: BaseException) -> BaseException | None:
    """The driver's error. What tidies up behind one fails, too, once the connection is gone, and hides it."""
    found: BaseException | None = problem
    while found is not None and not isinstance(found, sa.exc.DBAPIError):
        found = found.__context__
    return found and (found.orig or found)
