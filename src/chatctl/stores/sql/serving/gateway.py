"""How requests reach SQL: many at once, each write whole and durable before it is answered.

An engine in this process (SQLite) has one writer anyway: a thread of its own takes what is waiting and commits it
together, so that one sync serves many requests and nobody waits by polling for a lock. Servers get a transaction for
each write, from a pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from chatctl.errors import CannotConnectError, ReadOnlyError, RetryableError
from chatctl.stores.sql.database import Database

T = TypeVar("T")
Work = Callable[[sa.Connection], T]
_Outcome = tuple[Any, Any, BaseException | None]

#: Writes that share one commit.
MOST_TOGETHER = 64
#: Connections to a server, and so writes at once.
CONNECTIONS = 16

#: How long a write is tried again after deadlocks and lock waits.
_RETRY_SECONDS = 8.0
_TIDY_SECONDS = 0.5


class Reader:
    """Reads of `database` alone, for whoever only looks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, work: Work[T]) -> T:
        """What `work` reads."""
        with self._database.connect() as connection:
            return work(connection)

    def write(self, work: Work[T]) -> T:
        """Nothing is written here."""
        raise ReadOnlyError(f"{self._database.where}: this command only reads.")


class Gateway:
    """Reads and writes of `database`; `reading` is the same one, opened read-only, where reads must not lock.

    A work must be safe to repeat: it runs again after a deadlock, or where another that shared its commit failed.
    """

    def __init__(self, database: Database, reading: Database | None = None) -> None:
        self.database = database
        self._reading = reading or database
        self._closed = False
        self._pool: ThreadPoolExecutor | None = None
        self._queue: queue.SimpleQueue[tuple[Work[Any], Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._written, self._ending = False, threading.Event()
        if database.dialect.in_process:
            self._thread = threading.Thread(target=self._write_in_turn, name="sql-writer", daemon=True)
            self._thread.start()
            threading.Thread(target=self._tidy, name="sql-tidier", daemon=True).start()
        else:
            self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="sql-writer")

    def submit(self, work: Work[T]) -> Future[T]:
        """Does `work` in a transaction; the future is done once that is committed, or has failed as a whole."""
        if self._closed:
            raise CannotConnectError("The server is stopping.")
        if self._pool is not None:
            return self._pool.submit(self._write_alone, work)
        future: Future[T] = Future()
        self._queue.put((work, future))
        return future

    def submit_from_loop(self, work: Work[T]) -> Awaitable[T]:
        """The same for a coroutine, which is told together with all others that shared the commit."""
        if self._pool is not None or self._closed:
            return asyncio.wrap_future(self.submit(work))
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return future

    def write(self, work: Work[T]) -> T:
        """The same, waiting for it."""
        return self.submit(work).result()

    def read(self, work: Work[T]) -> T:
        """What `work` reads."""
        with self._reading.connect() as connection:
            return work(connection)

    def close(self) -> None:
        """Finishes what was submitted."""
        self._closed = True
        self._ending.set()
        if self._pool is not None:
            self._pool.shutdown()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _write_alone(self, work: Work[T]) -> T:
        tries = Retrying(
            retry=retry_if_exception_type(RetryableError),
            stop=stop_after_delay(_RETRY_SECONDS),
            wait=wait_random_exponential(multiplier=0.01, max=0.3),
            reraise=True,
        )
        answer: T = tries(self._once, work)
        return answer

    def _once(self, work: Work[T]) -> T:
        with self.database.begin() as connection:
            return work(connection)

    def _write_in_turn(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = [first], False
            while len(batch) < MOST_TOGETHER and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    last = True
                    break
                batch.append(item)
            self._commit_together(batch)
            if last:
                return

    def _tidy(self) -> None:
        while not self._ending.wait(_TIDY_SECONDS):
            if self._written:
                self._written = False
                # Whatever keeps it from being done now will be met by the writer, who tells those who wait.
                with contextlib.suppress(Exception):
                    self.database.dialect.tidy(self.database.engine)

    def _commit_together(self, batch: list[tuple[Work[Any], Any]]) -> None:
        self._written = True
        if len(batch) > 1:
            try:
                with self.database.begin() as connection:
                    answers = [work(connection) for work, _ in batch]
            except Exception:  # noqa: S110  # it comes again below, where it is told to whoever caused it
                # One of them failed, and which doesn't matter: each gets a transaction of its own.
                pass
            else:
                _settle([(future, answer, None) for (_, future), answer in zip(batch, answers, strict=True)])
                return
        for work, future in batch:
            try:
                answer = self._once(work)
            except BaseException as problem:
                _settle([(future, None, problem)])
            else:
                _settle([(future, answer, None)])


def _settle(outcomes: list[_Outcome]) -> None:
    """Tells everybody; those of an event loop by one call, since each call wakes the loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for future, answer, problem in outcomes:
        if isinstance(future, asyncio.Future):
            by_loop.setdefault(future.get_loop(), []).append((future, answer, problem))
        else:
            _tell(future, answer, problem)
    for loop, those in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever waited with it
            loop.call_soon_threadsafe(_tell_all, those)


def _tell_all(outcomes: list[_Outcome]) -> None:
    for future, answer, problem in outcomes:
        _tell(future, answer, problem)


def _tell(future: Any, answer: Any, problem: BaseException | None) -> None:
    if future.cancelled():
        return
    if problem is not None:
        future.set_exception(problem)
    else:
        future.set_result(answer)
