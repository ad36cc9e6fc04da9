"""A run waits, with no transaction open, while a real replica lags behind or the server is busy, and then goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.processes import ServerUnavailableError
from tests.support.regrouping import Mentored, Message, crew
from tests.support.replicas import PRIMARIES
from tests.support.servers import without

from chatctl.domain.result import Result
from chatctl.services.regroup import running
from chatctl.services.regroup.target import RegroupTarget, Request
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.thresholds import Thresholds

START = datetime(2026, 1, 1, tzinfo=UTC)
SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


class Watched:
    """A regrouping in a thread of its own; `notes` are what it has said."""

    def __init__(self, mentored: Mentored, thresholds: Thresholds) -> None:
        journal = Journal(mentored.database, thresholds=thresholds)
        target = RegroupTarget(mentored.database, mentored.target.layout, journal)
        self.notes: list[str] = []
        self._crew = crew(batch_size=10)
        self._crew.progress.note = self.notes.append
        self._answer: list[Result] = []
        self._thread = threading.Thread(
            target=lambda: self._answer.append(running.start(target, target.grouping(Request()), self._crew))
        )
        self._thread.start()

    def waits_because(self, reason: str, seconds: float = 20) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(reason in note for note in self.notes):
                return self._thread.is_alive()
            time.sleep(0.05)
        return False

    def result(self) -> Result:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self._answer[0]

    def stop(self) -> None:
        self._crew.stop.request()
        self._thread.join(60)


@contextmanager
def watched(mentored: Mentored, thresholds: Thresholds) -> Iterator[Watched]:
    run = Watched(mentored, thresholds)
    try:
        yield run
    finally:
        run.stop()


def flat(url: str) -> Mentored:
    made = Mentored(url)
    made.fill(Message(f"id{n:03d}", f"u{n % 7}", "m1", START + timedelta(minutes=n)) for n in range(60))
    return made


def moved(mentored: Mentored) -> int:
    messages = mentored.tables["messages"]
    with mentored.database.connect() as connection:
        return connection.scalar(sa.select(sa.func.count(messages.c.chat_id))) or 0


@pytest.fixture
def replicated(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    """A server and its replica."""
    kind = {"mariadb": "mysql"}.get(request.param, request.param)
    try:
        primary = PRIMARIES[request.param]()
    except ServerUnavailableError as problem:
        without(kind, str(problem))
    with primary, primary.follower() as replica:
        yield primary, replica


@pytest.mark.parametrize("replicated", SERVERS, indirect=True)
def test_a_run_waits_while_its_replica_lags_and_goes_on_when_it_has_caught_up(replicated: tuple[Any, Any]) -> None:
    primary, replica = replicated
    mentored = flat(primary.databases.create_database())
    copy = Database(replica.databases.url_of(mentored.database.url.database or ""), read_only=True)
    journal = Journal(mentored.database)
    journal.ensure()
    replica.hold()
    time.sleep(1.2)
    with watched(mentored, Thresholds(copy, lag_seconds=1)) as run:
        assert run.waits_because("the replica is more than 1 s behind")
        assert moved(mentored) == 0
        with mentored.database.connect() as connection:
            assert mentored.database.dialect.running(connection) == 0
        replica.release()
        assert run.result().data["messages_moved"] == 60
    # The control: a run that nobody told of the replica doesn't wait for it.
    mentored.undo()
    replica.hold()
    with watched(mentored, Thresholds()) as run:
        assert run.result().data["messages_moved"] == 60
        assert not any("replica" in note for note in run.notes)
    copy.close()
    mentored.close()


@pytest.mark.parametrize("replicated", SERVERS[1:], indirect=True)
def test_a_run_waits_for_a_replica_that_is_gone(replicated: tuple[Any, Any]) -> None:
    primary, replica = replicated
    mentored = flat(primary.databases.create_database())
    copy = Database(replica.databases.url_of(mentored.database.url.database or ""), read_only=True)
    replica.kill()
    with watched(mentored, Thresholds(copy, lag_seconds=5)) as run:
        assert run.waits_because("the replica can't be read")
        replica.start()
        assert run.result().data["messages_moved"] == 60
    copy.close()
    mentored.close()


@pytest.mark.parametrize("engine_name", SERVERS)
def test_a_run_waits_while_the_server_is_busy(engine_url: str) -> None:
    mentored = flat(engine_url)
    sleeps = "SELECT SLEEP(3)" if "mysql" in engine_url else "SELECT pg_sleep(3)"

    def sleep() -> None:
        with mentored.database.connect() as connection:
            connection.execute(sa.text(sleeps))

    sleepers = [threading.Thread(target=sleep) for _ in range(3)]
    for thread in sleepers:
        thread.start()
    time.sleep(0.3)
    with watched(mentored, Thresholds(running=2)) as run:
        assert run.waits_because("more than 2 sessions are at work")
        assert run.result().data["messages_moved"] == 60
    for thread in sleepers:
        thread.join()
    mentored.close()


@pytest.mark.parametrize("engine_name", SERVERS)
def test_a_run_waits_while_reads_are_slow(engine_url: str) -> None:
    mentored = flat(engine_url)
    with watched(mentored, Thresholds(statement_ms=0)) as run:
        assert run.waits_because("takes longer than 0 ms")
        assert moved(mentored) == 0
    mentored.close()
