"""A purge among readers, writers, holds and restores never deletes what is protected, whatever the order.

On SQLite the orders are random and one thing happens after the other; on the servers they happen at once. What a purge
has chosen is old by the time that it deletes: the second look, under locks, is what protects. Without it the same tests
find rows deleted that were not to be, which is shown too.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.purging import DAY, NOW, PurgeBed

from chatctl.domain.instants import to_epoch_ms
from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.errors import ChatctlError, NotFoundError
from chatctl.services.purge import restoring
from chatctl.services.purge.restoring import RestoreRequest
from chatctl.services.purge.target import PurgeRequest
from chatctl.stores.sql.batches import BatchRunner, Pace
from chatctl.stores.sql.batches.ranges import Ranges
from chatctl.stores.sql.purge.conversations import Conversations
from chatctl.stores.sql.purge.work import Candidate, PurgeWork

log = logging.getLogger(__name__)

SOAK = bool(os.environ.get("CHATCTL_SOAK"))
ON_SQLITE = 20_000 if SOAK else 150
#: So that several processes can share the long run out among them.
SHARES = 4 if SOAK else 1
AT_ONCE = 500 if SOAK else 8
CHATS = 12
CROWDED = [f"c{number:02}" for number in range(40)]

pytestmark = pytest.mark.parametrize("layout_name", ["worker"], indirect=True)
on_sqlite = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
on_servers = pytest.mark.parametrize(
    "engine_name",
    [pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)
slow_in_soak = [pytest.mark.slow, pytest.mark.timeout(7200)] if SOAK else []


class Blind(PurgeWork):
    """A purge without its second look, and without a third in the words by which it deletes."""

    def _in_few_words(self, *arguments: object) -> None:
        return None

    def still_eligible(
        self, connection: sa.Connection, condition: sa.ColumnElement[bool], chosen: Sequence[Candidate]
    ) -> list[Candidate]:
        return list(chosen)


def prepared(purging: PurgeBed, kind: type[PurgeWork] = PurgeWork) -> tuple[str, PurgeWork]:
    """A run in the journal and the work on it."""
    target, request, on = purging.target, PurgeRequest(), conversations(purging)
    with purging.database.begin() as connection:
        run = target.journal.runs.start(connection, "purge", "worker", "purge", {})
        Ranges(target.journal).add(connection, run.id, [{}])
        selection = request.selection(target, purging.now, purging.now)
        return run.id, kind(on, selection, target.tools, run.id, "table")


@functools.cache
def conversations(purging: PurgeBed) -> Conversations:
    """The conversations of the database: to read its schema once is enough for thousands of schedules."""
    with purging.database.connect() as connection:
        return purging.target.conversations(connection)


def tell(done: int, each: int, of: int) -> None:
    """A line in a long run's log now and then."""
    if done % each == 0 or done == of:
        log.info("%d of %d schedules, and no protected row was deleted", done, of)


def message(name: str) -> dict[str, Any]:
    """A message that somebody writes to the conversation while the purge is at work."""
    return {"chat_id": name, "created_at": NOW + timedelta(seconds=1), "role": "user", "content": "x"}


# --- one after the other ----------------------------------------------------------------------------------------


class Schedule:
    """Random steps on a small database, beside what must be there after each of them."""

    def __init__(self, purging: PurgeBed, seed: int, kind: type[PurgeWork]) -> None:
        self.purging = purging
        self.chance = random.Random(seed)
        self.kind = kind
        self.protected: set[str] = set()
        self.holds: list[str] = []
        names = [f"c{number}" for number in range(CHATS)]
        self.restored: set[str] = set()
        self.written: set[str] = set()
        self._reset(names)
        self._choose()

    def _choose(self) -> None:
        self.number = 0
        _, self.work = prepared(self.purging, self.kind)
        with self.purging.database.begin() as connection:
            self.chosen = self.work.candidates(connection, self.work._eligibility.condition, {}, 100)

    def run(self) -> set[str]:
        """Goes through the schedule; the protected conversations that are gone, which there must not be."""
        self.night()
        if self.chance.random() < 0.2:
            self.restore()
            self._choose()
            self.night()
        return self.protected - self.there()

    def night(self) -> None:
        """One purge, and whatever happens before it and between its batches."""
        steps = [self.read, self.read, self.write, self.hold, self.release, self.delete, self.delete]
        for _ in range(self.chance.randint(4, 10)):
            self.chance.choice(steps)()
        while self.chosen:
            self.delete()

    def there(self) -> set[str]:
        return self.purging.names(*(f"c{number}" for number in range(CHATS)))

    def read(self) -> None:
        name = f"c{self.chance.randrange(CHATS)}"
        self.purging.touch(name, NOW - timedelta(days=self.chance.randint(0, 29)))
        if name in self.there():
            self.protected.add(name)

    def write(self) -> None:
        name = f"c{self.chance.randrange(CHATS)}"
        if name not in self.there():
            return
        with self.purging.database.begin() as connection:
            connection.execute(self.purging.tables["messages"].insert().values(message(name)))
        self.written.add(name)
        self.protected.add(name)

    def restore(self) -> None:
        """What a purge took comes back; purges and restores take one lock, so it comes between them."""
        with self.purging.database.connect() as connection:
            archives = self.purging.target.archives.all(connection)
        if not archives:
            return
        before = self.there()
        wanted = RestoreRequest.of(self.chance.choice(archives).run_id)
        restoring.restore(self.purging.target, wanted, SilentProgress(), StopSignal())
        self.restored |= self.there() - before
        self.protected |= self.restored

    def hold(self) -> None:
        name = f"c{self.chance.randrange(CHATS)}"
        with self.purging.database.begin() as connection:
            hold = self.purging.target.holds.add(connection, "chat", name, "x", "x", None)
        self.holds.append(f"{hold.id} {name}")
        if name in self.there():
            self.protected.add(name)

    def release(self) -> None:
        if not self.holds:
            return
        hold_id, _, _ = self.holds.pop(self.chance.randrange(len(self.holds))).partition(" ")
        with self.purging.database.begin() as connection:
            self.purging.target.holds.release(connection, hold_id)
        self.protected = {name for name in self.protected if self._is_protected(name)}

    def delete(self) -> None:
        """A batch of what was chosen when the schedule began."""
        part, self.chosen = self.chosen[:3], self.chosen[3:]
        work, database = self.work, self.purging.database
        with database.begin() as connection:
            holds = self.purging.target.holds.in_force(connection, to_epoch_ms(NOW))
            condition = sa.and_(work._eligibility.condition, sa.not_(work._eligibility.held(holds)))
            left = work._not_restored(connection, part, to_epoch_ms(NOW))
            victims = work.still_eligible(connection, condition, left)
            there = [victim for victim in victims if victim.key[0] in self.there_on(connection)]
            self.number += 1
            work._delete(connection, there, self.number)

    def there_on(self, connection: sa.Connection) -> set[str]:
        return set(connection.scalars(sa.select(self.purging.tables["chats"].c.id)))

    def _is_protected(self, name: str) -> bool:
        held = any(hold.endswith(f" {name}") for hold in self.holds)
        table = self.purging.tables["chats"]
        with self.purging.database.connect() as connection:
            accessed = connection.scalar(sa.select(table.c.accessed_at).where(table.c.id == name))
        used = name in self.written | self.restored
        return held or used or (accessed is not None and accessed >= NOW - 30 * DAY)

    def _reset(self, names: list[str]) -> None:
        with self.purging.database.begin() as connection:
            connection.execute(self.purging.tables["messages"].delete())
            connection.execute(self.purging.tables["chats"].delete())
            if sa.inspect(connection).has_table("chatctl_holds"):
                for name in ("holds", "runs", "ranges", "batches", "exemptions", "archives", "archived_lines"):
                    connection.exec_driver_sql(f"DELETE FROM chatctl_{name}")
            rows = [{"id": name, "account_id": "a", "created_at": NOW, "accessed_at": self._age()} for name in names]
            connection.execute(self.purging.tables["chats"].insert(), rows)

    def _age(self) -> datetime:
        return NOW - timedelta(days=self.chance.choice([1, 29, 30, 31, 40, 90]))


@pytest.fixture
def quick(purging: PurgeBed) -> PurgeBed:
    """A database that needn't survive a power cut."""

    @sa.event.listens_for(purging.database.engine, "connect")
    def relax(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    purging.database.engine.dispose()
    purging.target.prepare()
    return purging


@on_sqlite
@pytest.mark.parametrize("share", [pytest.param(share, marks=slow_in_soak) for share in range(SHARES)])
def test_no_order_of_things_deletes_what_is_protected(quick: PurgeBed, share: int) -> None:
    seeds = range(1 + share, 1 + ON_SQLITE, SHARES)
    for done, seed in enumerate(seeds, 1):
        assert Schedule(quick, seed, PurgeWork).run() == set(), seed
        tell(done, 250, len(seeds))


@on_sqlite
def test_without_the_second_look_some_order_does(quick: PurgeBed) -> None:
    assert any(Schedule(quick, seed, Blind).run() for seed in range(100))


# --- at once ----------------------------------------------------------------------------------------------------


class Crowd:
    """Users who read, write and hold while a purge runs; what they were told is safe must be there at its end."""

    def __init__(self, purging: PurgeBed, seed: int) -> None:
        self.purging = purging
        self.seed = seed
        self.safe: set[str] = set()
        self.problems: list[BaseException] = []
        self._done = threading.Event()

    def during(self, work: Callable[[], object]) -> None:
        """Runs `work` with the crowd around it."""
        threads = [threading.Thread(target=self._live, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            work()
        finally:
            self._done.set()
            for thread in threads:
                thread.join()
        assert self.problems == []

    def _live(self, number: int) -> None:
        chance = random.Random(self.seed * 10 + number)
        acts = [self._read, self._write, self._hold]
        try:
            while not self._done.is_set():
                acts[number](f"c{chance.randrange(40):02}")
        except BaseException as problem:
            self.problems.append(problem)

    def _read(self, name: str) -> None:
        table = self.purging.tables["chats"]
        change = table.update().where(table.c.id == name).values(accessed_at=NOW)
        self._attempt(change, name)

    def _write(self, name: str) -> None:
        self._attempt(self.purging.tables["messages"].insert().values(message(name)), name)

    def _attempt(self, statement: sa.Executable, name: str) -> None:
        try:
            with self.purging.database.begin() as connection:
                changed: Any = connection.execute(statement)
        except ChatctlError:
            return  # the conversation is gone, or the two waited for each other
        if changed.rowcount:
            self.safe.add(name)

    def _hold(self, name: str) -> None:
        if random.Random(f"{self.seed}{name}").random() > 0.2:
            return
        with self.purging.database.begin() as connection:
            self.purging.target.holds.add(connection, "chat", name, "x", "x", None)
        if self.purging.names(name):
            self.safe.add(name)


def purge_in_small_batches(purging: PurgeBed, kind: type[PurgeWork]) -> str:
    """Purges; the run's ID."""
    purging.target.prepare()
    run_id, work = prepared(purging, kind)
    journal = purging.target.journal
    pace = Pace(fixed=3)
    BatchRunner(journal, run_id, work, pace=pace, progress=SilentProgress(), stop=StopSignal(), alone=True).run()
    return run_id


@on_servers
@pytest.mark.parametrize("rounds", [pytest.param(AT_ONCE, marks=slow_in_soak)])
def test_nobody_who_was_told_that_a_conversation_is_there_loses_it(purging: PurgeBed, rounds: int) -> None:
    names = CROWDED
    purging.target.prepare()
    for seed in range(rounds):
        with purging.database.begin() as connection:
            connection.execute(purging.tables["messages"].delete())
            connection.execute(purging.tables["chats"].delete())
            for name in ("holds", "exemptions", "archives", "archived_lines"):
                connection.exec_driver_sql(f"DELETE FROM chatctl_{name}")
            old = NOW - 60 * DAY
            rows = [{"id": name, "account_id": "a", "created_at": old, "accessed_at": old} for name in names]
            connection.execute(purging.tables["chats"].insert(), rows)
        crowd = Crowd(purging, seed)
        crowd.during(functools.partial(two_nights, purging, crowd))
        assert crowd.safe - purging.names(*names) == set(), seed
        tell(seed + 1, 50, rounds)


def two_nights(purging: PurgeBed, crowd: Crowd) -> None:
    """A purge, a restore of all that it took, and the next purge."""
    run_id = purge_in_small_batches(purging, PurgeWork)
    before = purging.names(*CROWDED)
    with contextlib.suppress(NotFoundError):  # it took nothing
        restoring.restore(purging.target, RestoreRequest.of(run_id), SilentProgress(), StopSignal())
    crowd.safe |= purging.names(*CROWDED) - before
    purge_in_small_batches(purging, PurgeWork)


def reading_just_then(purging: PurgeBed, base: type[PurgeWork]) -> type[PurgeWork]:
    """A purge that is overtaken by a reader after it has chosen, and before it looks again."""

    class Overtaken(base):  # type: ignore[misc, valid-type]  # the base is the parameter
        def still_eligible(self, *arguments: Any) -> list[Candidate]:
            purging.touch("read", NOW)
            found: list[Candidate] = super().still_eligible(*arguments)
            return found

    return Overtaken


@on_servers
@pytest.mark.parametrize(("kind", "stays"), [(PurgeWork, True), (Blind, False)])
def test_a_conversation_read_after_it_was_chosen_stays_by_the_second_look_alone(
    purging: PurgeBed, kind: type[PurgeWork], stays: bool
) -> None:
    purging.add("read", NOW - 90 * DAY)
    purging.add("unread", NOW - 90 * DAY)

    purge_in_small_batches(purging, reading_just_then(purging, kind))

    assert purging.names("read", "unread") == ({"read"} if stays else set())


@on_sqlite
def test_restored_conversations_are_protected_among_everything_else(quick: PurgeBed, tmp_path: Path) -> None:
    for number in range(6):
        quick.add(f"c{number}", NOW - 90 * DAY)
    quick.purge(archive="table")
    for number in range(6):
        wanted = RestoreRequest.of(None, chat=f"c{number}")
        restoring.restore(quick.target, wanted, SilentProgress(), StopSignal())
        quick.purge(archive="table")
        assert quick.names(*(f"c{place}" for place in range(6))) == {f"c{place}" for place in range(number + 1)}
