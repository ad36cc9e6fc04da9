"""One run at a time: an advisory lock on a connection of its own, and a lock row with a lease and a fencing token.

The advisory lock answers at once and dies with its holder. The row says who holds it, and its lease covers what
an advisory lock can't: a pooler that hands the same server session to several clients, and a holder that is paused
while its connection stays open. The token grows with each holder. It stands in a row of its own, the fence, which
each of the holder's transactions locks for sharing: whoever takes over ends the holder's sessions first and then
waits for that row, so that nothing of the old holder can commit after the new one has begun.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import to_epoch_ms
from chatctl.errors import ChatctlError, LeaseLostError, LockedError, RepeatedKeyError, RetryableError
from chatctl.stores.sql.dialects.sessions import Sessions
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.journal.runs import whoami

#: How long a holder that says nothing keeps the lock, in seconds, unless the variable says otherwise.
LEASE_SECONDS = 15
LEASE_VARIABLE = "CHATCTL_LEASE_SECONDS"
#: No lease lasts longer: one that ends later was written before the server's clock was set back.
LONGEST_LEASE_SECONDS = 3600
#: A living holder says that it lives this often in the course of a lease.
KEEPALIVES = 4
#: How long a takeover waits until the sessions that it ended are gone.
ENDING_SECONDS = 10

_FENCE = "{}/fence"


def end_sessions(connection: sa.Connection, sessions: Sessions, identities: Sequence[str]) -> None:
    """Ends those sessions of a holder that is replaced, and waits until they are gone."""
    for identity in identities:
        sessions.end(connection, identity)
    deadline = time.monotonic() + ENDING_SECONDS
    while any(sessions.lives(connection, identity) for identity in identities) and time.monotonic() < deadline:
        connection.rollback()
        time.sleep(0.05)
    connection.rollback()


def lease_seconds() -> float:
    """How long a holder that says nothing keeps the lock."""
    return min(float(os.environ.get(LEASE_VARIABLE) or LEASE_SECONDS), LONGEST_LEASE_SECONDS)


class RunLock:
    """The lock `name`, held from `__enter__` to `__exit__`.

    Raises LockedError, naming holder, host, process and age, where another run holds it.
    """

    def __init__(self, journal: Journal, name: str, run_id: str | None = None) -> None:
        self._journal = journal
        self._database = journal.database
        self._name = name
        self._run_id = run_id
        self._row = LockRow(journal, name)
        self._token = 0
        self._pooled = False
        self._connection: sa.Connection | None = None
        self._released = threading.Event()
        self._keeper: threading.Thread | None = None
        self._lost: ChatctlError | None = None
        self._sessions: list[str] = []

    def __enter__(self) -> RunLock:
        with self._database.translating():
            connection = self._database.engine.connect()
            try:
                with self._database.translating():
                    self._take(connection)
            except RetryableError as problem:
                connection.close()
                raise LockedError(f"Other runs keep the lock '{self._name}' busy: {problem.message}") from problem
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        if not self._database.dialect.locks_die_with_holder:
            self._keeper = threading.Thread(target=self._keep, name=f"lock {self._name}", daemon=True)
            self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        if self._keeper is not None:
            self._keeper.join()
        assert self._connection is not None
        # A holder whose connection is gone has nothing left to give back: its lease runs out by itself.
        with contextlib.suppress(ChatctlError, sa.exc.SQLAlchemyError), self._connection as connection:
            try:
                self._row.write(connection, self._token, lease_until_ms=0, connection_ids=None)
            finally:
                # On a full disk the row can't be written, and the lock is given back all the same.
                connection.rollback()
                if not self._pooled:
                    self._database.dialect.unlock(connection, self._advisory_name)
                connection.rollback()

    def uses(self, connection: sa.Connection) -> None:
        """Tells whoever takes the lock over that this connection's session is the holder's too."""
        identity = self._database.dialect.sessions.identity(connection)
        if not identity or identity in self._sessions:
            return
        # A pooled session is ours for one transaction; a direct one until it is closed.
        self._sessions = [identity] if self._pooled else [*self._sessions, identity][-6:]
        with self._database.begin() as other:
            self._row.write(other, self._token, connection_ids=",".join(self._sessions))

    def check(self, connection: sa.Connection) -> None:
        """Raises LeaseLostError unless this holder still holds the lock.

        Until the caller's transaction ends, nobody can take the lock over without ending it.
        """
        if self._lost is not None:
            raise LeaseLostError(f"The lock '{self._name}' was lost: {self._lost.message}")
        if self._row.fence(connection) != self._token:
            raise LeaseLostError(f"Another run has taken over the lock '{self._name}'.")

    @property
    def _advisory_name(self) -> str:
        return f"chatctl_{self._name}"

    def _take(self, connection: sa.Connection) -> None:
        dialect = self._database.dialect
        self._pooled = dialect.sessions.is_pooled(connection)
        # A pooler would leave an advisory lock to whoever gets that server session next.
        free = self._pooled or dialect.try_lock(connection, self._advisory_name)
        connection.rollback()
        row = self._row.read(connection)
        now = self._now(connection)
        if row is not None and self._is_alive(row, now, connection):
            raise self._row.held(row, now)
        if row is not None and row.connection_ids:
            end_sessions(connection, dialect.sessions, row.connection_ids.split(","))
            free = free or dialect.try_lock(connection, self._advisory_name)
            connection.rollback()
        if not free:
            raise self._row.held(row, now)
        identity = dialect.sessions.identity(connection)
        connection.rollback()
        self._sessions = [identity] if identity and not self._pooled else []
        taken = self._row.take(
            connection,
            row,
            run_id=self._run_id,
            holder=whoami(),
            host=socket.gethostname(),
            process_id=os.getpid(),
            connection_ids=",".join(self._sessions) or None,
            taken_ms=now,
            lease_until_ms=now + int(lease_seconds() * 1000),
        )
        if taken is None:
            raise self._row.held(self._row.read(connection), now)
        self._token = taken

    def _now(self, connection: sa.Connection) -> int:
        now = to_epoch_ms(self._database.dialect.now(connection))
        connection.rollback()
        return now

    def _is_alive(self, row: sa.Row[Any], now: int, connection: sa.Connection) -> bool:
        is_leased = 0 < row.lease_until_ms - now <= LONGEST_LEASE_SECONDS * 1000
        if self._database.dialect.locks_die_with_holder or not is_leased:
            return False
        return not (row.host == socket.gethostname() and not _process_lives(row.process_id))

    def _keep(self) -> None:
        assert self._connection is not None
        while not self._released.wait(lease_seconds() / KEEPALIVES):
            try:
                with self._database.translating():
                    lease_until = self._now(self._connection) + int(lease_seconds() * 1000)
                    kept = self._row.write(self._connection, self._token, lease_until_ms=lease_until)
            except ChatctlError as problem:
                self._lost = problem
                return
            if not kept:
                self._lost = LeaseLostError("another run has taken it over")
                return


class LockRow:
    """The row of the lock `name`, and its fence."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._database = journal.database
        self._table = journal.tables.locks
        self._name = name

    def read(self, connection: sa.Connection) -> sa.Row[Any] | None:
        """The row as it is now, if it was ever made."""
        row = connection.execute(sa.select(self._table).where(self._table.c.name == self._name)).one_or_none()
        connection.rollback()
        return row

    def fence(self, connection: sa.Connection) -> int | None:
        """The token of the holder, kept from changing until the caller's transaction ends."""
        column = self._table.c
        query = sa.select(column.token).where(column.name == _FENCE.format(self._name)).with_for_update(read=True)
        return connection.scalar(query)

    def write(self, connection: sa.Connection, token: int, **values: object) -> bool:
        """Changes the row, if the holder of `token` still has it."""
        column = self._table.c
        statement = self._table.update().where(column.name == self._name, column.token == token).values(values)
        if connection.in_transaction():
            return connection.execute(statement).rowcount == 1
        with connection.begin():
            return connection.execute(statement).rowcount == 1

    def take(self, connection: sa.Connection, seen: sa.Row[Any] | None, **values: object) -> int | None:
        """Makes the next holder's token stand in the row and in the fence; None where another one was first."""
        token = (int(seen.token) if seen is not None else 0) + 1
        try:
            with self._database.translating(), connection.begin():
                if seen is None:
                    names = [self._name, _FENCE.format(self._name)]
                    connection.execute(
                        self._table.insert(), [{"name": name, "token": 0, "lease_until_ms": 0} for name in names]
                    )
                if not self._raise_token(connection, self._name, token, **values):
                    return None
                self._raise_token(connection, _FENCE.format(self._name), token)
        except (RepeatedKeyError, RetryableError):
            return None
        return token

    def _raise_token(self, connection: sa.Connection, name: str, token: int, **values: object) -> bool:
        column = self._table.c
        statement = self._table.update().where(column.name == name, column.token == token - 1)
        return connection.execute(statement.values(token=token, **values)).rowcount == 1

    def held(self, row: sa.Row[Any] | None, now: int) -> LockedError:
        """The error that names the holder, its host, process and age."""
        if row is None or row.taken_ms is None:
            return LockedError(f"Another run holds the lock '{self._name}'.")
        age = max(0, now - int(row.taken_ms)) // 1000
        run = f", run {row.run_id}" if row.run_id else ""
        return LockedError(
            f"The lock '{self._name}' is held by {row.holder} on {row.host}, process {row.process_id},"
            f" for {age} s{run}.",
            hint=f"Wait for it; a holder that died is replaced after {lease_seconds():g} s.",
        )


def _process_lives(process_id: int | None) -> bool:
    if process_id is None:
        return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
