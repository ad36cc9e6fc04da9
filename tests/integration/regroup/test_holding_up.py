"""What holds a run up or ends it from outside: before its next batch, with no transaction open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.processes import ServerUnavailableError
from tests.support.regrouping import Mentored, Message, crew
from tests.support.replicas import PRIMARIES
from tests.support.servers import without

from chatctl.domain.result import Outcome, Result
from chatctl.errors import InterruptedRunError, StoppedEarlyError
from chatctl.services.regroup import driving, running
from chatctl.services.regroup.driving import Crew
from chatctl.services.regroup.target import Request
from chatctl.services.runs import steering
from chatctl.services.runs.history import history
from chatctl.services.runs.target import RunsTarget
from chatctl.stores.sql.batches.gate import Gate, Limits
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal, RunStatus
from chatctl.stores.sql.thresholds import Thresholds

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
MESSAGES = 60

#: The engine → transactions of this database that are open, but for the one that asks.
OPEN = {
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()",
    "mariadb": "SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p"
    " ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND p.id <> CONNECTION_ID()",
}


class Terminal:
    """Another terminal: connections of its own to the same database and its journal."""

    def __init__(self, mentored: Mentored) -> None:
        self.database = Database(mentored.database.url.render_as_string(hide_password=False))
        self.journal = Journal(self.database)
        self.target = RunsTarget(self.database, self.journal)

    @property
    def run_id(self) -> str:
        with self.database.connect() as connection:
            return self.journal.runs.list(connection, limit=1)[0].id

    def status(self) -> RunStatus:
        with self.database.connect() as connection:
            return self.journal.runs.get(connection, self.run_id).status

    def transactions(self) -> int:
        """How many are open, besides this one; on SQLite whether somebody writes."""
        query = OPEN.get(self.database.dialect.name)
        with self.database.begin() as connection:
            return int(connection.exec_driver_sql(query).scalar_one()) if query else 0


@pytest.fixture
def terminal(mentored: Mentored) -> Iterator[Terminal]:
    made = Terminal(mentored)
    yield made
    made.database.close()


@pytest.fixture(autouse=True)
def filled(request: pytest.FixtureRequest) -> None:
    if "mentored" in request.fixturenames:
        fill(request.getfixturevalue("mentored"))


def fill(mentored: Mentored) -> None:
    mentored.fill(Message(f"id{n:04d}", f"u{n % 7}", "m1", START + timedelta(minutes=n)) for n in range(MESSAGES))


def watched(
    advanced: Callable[[int], None] = lambda batches: None, noted: Callable[[str], None] = lambda text: None,
    limits: Limits | None = None,
) -> Crew:  # fmt: skip
    """A crew whose committed batches and remarks are told."""
    made = crew(batch_size=5)
    batches = 0

    def advance(rows: int) -> None:
        nonlocal batches
        batches += 1
        advanced(batches)

    made.progress.advance = advance
    made.progress.note = noted
    return replace(made, limits=limits or Limits())


def start(mentored: Mentored, by: Crew) -> Result:
    return running.start(mentored.target, mentored.target.grouping(Request()), by)


def finishes(mentored: Mentored) -> None:
    """The same command goes on to the end."""
    assert start(mentored, crew()).data["messages_moved"] == MESSAGES
    assert mentored.verify().data["ok"]


def test_a_pause_takes_effect_before_the_next_batch_and_ends_from_elsewhere(
    mentored: Mentored, terminal: Terminal
) -> None:
    seen: list[Any] = []

    def advanced(batches: int) -> None:
        seen.append(batches)
        if batches == 4:
            steering.pause(terminal.target, terminal.run_id)

    def noted(text: str) -> None:
        if text.startswith("Paused"):
            seen.append((text, terminal.transactions()))
            steering.resume(terminal.target, terminal.run_id)

    result = start(mentored, watched(advanced, noted))

    assert seen[3:5] == [4, (f"Paused; chatctl runs resume {result.run_id} lets it go on.", 0)]
    assert (result.outcome, result.data["messages_moved"]) == (Outcome.DONE, MESSAGES)


def test_a_cancelled_run_ends_before_its_next_batch_and_can_be_undone(mentored: Mentored, terminal: Terminal) -> None:
    before = mentored.fingerprints()
    seen: list[int] = []

    def advanced(batches: int) -> None:
        seen.append(batches)
        if len(mentored.partition()) > 1:
            steering.cancel(terminal.target, terminal.run_id)

    with pytest.raises(InterruptedRunError, match="cancelled"):
        start(mentored, watched(advanced))

    assert 0 < sum(map(len, mentored.partition())) < MESSAGES
    assert terminal.status() is RunStatus.CANCELLED
    mentored.undo()
    assert mentored.fingerprints() == before
    finishes(mentored)


def test_whoever_joined_a_run_commits_nothing_once_that_has_been_ended(
    mentored: Mentored, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = watched()
    stopped.stop.request()
    run_id = start(mentored, stopped).run_id or ""
    seen: list[int] = []

    def advanced(batches: int) -> None:
        seen.append(batches)
        if batches == 3:
            steering.cancel(terminal.target, run_id)

    # Between its last question and its batch there is a moment.
    monkeypatch.setattr(Gate, "__call__", lambda self: True)
    with pytest.raises(InterruptedRunError, match="cancelled"):
        running.join(mentored.target, run_id, watched(advanced))

    assert seen == [1, 2, 3]
    assert terminal.status() is RunStatus.CANCELLED


def test_a_paused_run_that_is_stopped_stays_paused(mentored: Mentored, terminal: Terminal) -> None:
    by = watched(noted=lambda text: by.stop.request() if text.startswith("Paused") else None)
    by.progress.advance = lambda rows: steering.pause(terminal.target, terminal.run_id)  # type: ignore[method-assign]

    assert start(mentored, by).outcome is Outcome.INTERRUPTED

    assert terminal.status() is RunStatus.PAUSED
    finishes(mentored)


def test_it_waits_while_a_file_is_there(mentored: Mentored, terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "stop"
    file.touch()
    told: list[str] = []

    def noted(text: str) -> None:
        told.append(text)
        if text == f"Waiting while {file} is there.":
            assert terminal.transactions() == 0
            assert mentored.partition() == set()
            file.unlink()

    assert start(mentored, watched(noted=noted, limits=Limits(stop_file=file))).outcome is Outcome.DONE
    assert f"Waiting while {file} is there." in told


@pytest.mark.parametrize("limits", [Limits(max_seconds=0), Limits(window=(time(0), time(0)))])
def test_out_of_time_it_ends_and_the_same_command_goes_on(mentored: Mentored, limits: Limits) -> None:
    with pytest.raises(StoppedEarlyError):
        start(mentored, watched(limits=limits))

    assert mentored.partition() == set()
    finishes(mentored)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_it_waits_for_a_replica_that_is_behind_and_says_so(mentored: Mentored, tmp_path: Path) -> None:
    replica = Database(f"sqlite:///{tmp_path / 'replica.db'}")
    Journal(replica).ensure()
    journal = Journal(mentored.database, thresholds=Thresholds(replica=replica, lag_seconds=60))
    told: list[str] = []

    def noted(text: str) -> None:
        told.append(text)
        if text.startswith("Waiting while the replica is more than 60 s behind"):
            meta = journal.tables.meta
            with mentored.database.connect() as source:
                beat = source.execute(sa.select(meta).where(meta.c.name == "throttle.beat")).one()
            with replica.begin() as target:
                target.execute(meta.insert().values(dict(beat._mapping)))

    target = replace(mentored.target, journal=journal)
    done = running.start(target, target.grouping(Request()), watched(noted=noted))
    replica.close()

    assert (done.outcome, done.data["messages_moved"]) == (Outcome.DONE, MESSAGES)
    assert "Waiting while the replica is more than 60 s behind." in told
    # What was measured is kept with the run, for its page.
    found = history(RunsTarget(mentored.database, mentored.target.journal), str(done.run_id))["lag"]
    assert found
    assert all(0 <= step["seconds"] < 60 for step in found)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_where_the_server_is_to_be_spared_batches_are_small(
    mentored: Mentored, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = start(mentored, crew()).data["batches"]
    mentored.undo()
    monkeypatch.setattr(driving, "_FIRST_GENTLE_BATCH", 10)
    target = replace(mentored.target, journal=Journal(mentored.database, thresholds=Thresholds(statement_ms=60_000)))

    done = running.start(target, target.grouping(Request()), crew())

    assert done.data["messages_moved"] == MESSAGES
    assert done.data["batches"] > plain + 4


@pytest.mark.slow
@pytest.mark.parametrize("engine", [
    pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)
])  # fmt: skip
def test_it_waits_for_a_real_replica_that_is_held_and_goes_on_when_that_has_caught_up(engine: str) -> None:
    try:
        primary = PRIMARIES[engine]()
    except ServerUnavailableError as problem:
        without({"mariadb": "mysql"}.get(engine, engine), str(problem))
    with primary, primary.follower() as follower:
        url = primary.databases.create_database()
        mentored = Mentored(url)
        fill(mentored)
        terminal = Terminal(mentored)
        replica = Database(follower.databases.url_of(sa.make_url(url).database or ""), read_only=True)
        journal = Journal(mentored.database, thresholds=Thresholds(replica=replica, lag_seconds=1))
        told: list[Any] = []

        def advanced(batches: int) -> None:
            if batches == 3:
                follower.hold()
            # So that there is time for lag to be seen.
            sleep(0.0 if told else 0.5)

        def noted(text: str) -> None:
            if text == "Waiting while the replica is more than 1 s behind.":
                told.append((terminal.transactions(), len(mentored.partition())))
                follower.release()

        target = replace(mentored.target, journal=journal)
        done = running.start(target, target.grouping(Request()), watched(advanced, noted))

        assert (done.outcome, done.data["messages_moved"]) == (Outcome.DONE, MESSAGES)
        assert told
        assert told[0][0] == 0
        terminal.database.close()
        replica.close()
        mentored.close()
