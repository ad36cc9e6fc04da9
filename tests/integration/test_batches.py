"""The mechanism under every long run: leases that move on, sizes that give way to trouble."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.errors import DatabaseError, RetryableError
from chatctl.stores.sql.batches import BatchOutcome, BatchRunner, Pace
from chatctl.stores.sql.batches.ranges import Ranges
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.ddl import TEXT_OPTIONS
from chatctl.stores.sql.journal import Journal

NUMBERS = sa.Table(
    "numbers", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("worker", sa.String(20)), **TEXT_OPTIONS,
)  # fmt: skip


class Counting:
    """Notes each number of a range from `from` to below `to` once, with who did it; tells `sizes` of each try."""

    def __init__(
        self, worker: str, before: Callable[[sa.Connection, int], None] = lambda connection, size: None
    ) -> None:
        self._worker = worker
        self._before = before
        self.sizes: list[int] = []
        self.after: Callable[[], None] = lambda: None

    def batch(self, connection: sa.Connection, bounds: Any, position: Any, size: int) -> BatchOutcome:
        self.sizes.append(size)
        self._before(connection, size)
        first = position.get("next", bounds["from"])
        last = min(first + size, bounds["to"])
        connection.execute(NUMBERS.insert(), [{"n": n, "worker": self._worker} for n in range(first, last)])
        return BatchOutcome(last - first, {"next": last}, last == bounds["to"])

    def committed(self, position: Any) -> None:
        self.after()


class Bed:
    """A database with a journal, and a run of ranges of ten numbers each."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        self.journal = Journal(self.database)
        self.journal.ensure()
        self.ranges = Ranges(self.journal)
        with self.database.begin() as connection:
            NUMBERS.create(connection)

    def share_out(self, parts: int) -> None:
        with self.database.begin() as connection:
            bounds = [{"from": part * 10, "to": part * 10 + 10} for part in range(parts)]
            self.ranges.add(connection, "run", bounds)

    def runner(self, work: Any, size: int = 3, **options: Any) -> BatchRunner:
        pace = Pace(fixed=size)
        return BatchRunner(
            self.journal, "run", work, pace=pace, progress=SilentProgress(), stop=StopSignal(), **options
        )

    def done_by(self) -> dict[int, str]:
        with self.database.connect() as connection:
            return {row.n: row.worker for row in connection.execute(sa.select(NUMBERS))}


@pytest.fixture
def made(engine_url: str) -> Iterator[Bed]:
    bed = Bed(engine_url)
    yield bed
    bed.database.close()


def test_a_claim_whose_answer_was_lost_is_made_again_by_the_same_worker_alone(made: Bed) -> None:
    made.share_out(1)
    for worker, found in (("here:1:a", True), ("here:1:b", False), ("here:1:a", True)):
        with made.database.begin() as connection:
            claimed = made.ranges.claim(connection, "run", worker, alone=False)
        assert (claimed is not None) is found, worker


def test_a_worker_that_lost_its_range_commits_nothing_more_of_it_and_goes_on_with_another(made: Bed) -> None:
    made.share_out(2)
    slow, other = Counting("slow"), Counting("other")

    def taken_over() -> None:
        # As if the slow one had been suspended for longer than its lease after its first batch.
        slow.after = lambda: None
        with made.database.begin() as connection:
            claimed = made.ranges.claim(connection, "run", "other", alone=True)
        assert claimed is not None
        assert claimed.number == 0
        made.runner(other)._work_through(claimed)

    slow.after = taken_over
    totals = made.runner(slow).run()

    assert (totals.finished, totals.rows) == (True, 20)
    done = made.done_by()
    assert {n for n, worker in done.items() if worker == "slow"} == {0, 1, 2, *range(10, 20)}
    assert {n for n, worker in done.items() if worker == "other"} == set(range(3, 10))
    # What takes longer than a lease is taken in smaller pieces.
    assert slow.sizes[:3] == [3, 3, 1]


@pytest.mark.parametrize(
    "moved_ms", [pytest.param(-61_000, id="run_out"), pytest.param(3_600_000, id="clock_set_back")]
)
def test_a_range_is_left_to_whoever_renews_its_lease_and_taken_over_once_it_has_ended(made: Bed, moved_ms: int) -> None:
    made.share_out(1)
    with made.database.begin() as connection:
        mine = made.ranges.claim(connection, "run", "elsewhere:1:a", alone=False)
    assert mine is not None
    with made.database.begin() as connection:
        assert made.ranges.claim(connection, "run", "elsewhere:2:b", alone=False) is None
        table = made.journal.tables.ranges
        connection.execute(table.update().values(lease_until_ms=table.c.lease_until_ms + moved_ms))
    with made.database.begin() as connection:
        outcome = BatchOutcome(3, {"next": 3}, finished=False)
        mine = made.ranges.advance(connection, mine, outcome, "token", 1)
        assert made.ranges.claim(connection, "run", "elsewhere:2:b", alone=False) is None
        connection.execute(table.update().values(lease_until_ms=table.c.lease_until_ms + moved_ms))
        assert made.ranges.claim(connection, "run", "elsewhere:2:b", alone=False) is not None


def test_a_size_is_halved_by_each_failure_and_grows_back_slowly(made: Bed) -> None:
    made.share_out(3)
    failures = iter([True, True])

    def fail(connection: sa.Connection, size: int) -> None:
        if next(failures, False):
            raise RetryableError("no lock")

    work = Counting("w", fail)

    assert made.runner(work, size=8).run().rows == 30
    assert work.sizes[:5] == [8, 4, 2, 3, 4]
    assert max(work.sizes[3:]) <= 8


@pytest.mark.parametrize("engine_name", [
    pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)
], indirect=True)  # fmt: skip
def test_a_batch_that_loses_a_deadlock_is_tried_again_with_half_the_rows(made: Bed, engine_url: str) -> None:
    made.share_out(1)
    columns = sa.Column("n", sa.Integer, primary_key=True), sa.Column("v", sa.Integer)
    locked = sa.Table("locked", sa.MetaData(), *columns)
    with made.database.begin() as connection:
        locked.create(connection)
        connection.execute(locked.insert(), [{"n": n, "v": 0} for n in range(1, 200)])
    application = Database(engine_url)
    waiting = threading.Event()

    def take(connection: sa.Connection, *numbers: int) -> None:
        connection.execute(locked.update().where(locked.c.n.in_(numbers)).values(v=locked.c.v + 1))

    def cross() -> None:
        with application.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Whoever looks first is the one that gives way: the batch.
                connection.exec_driver_sql("SET LOCAL deadlock_timeout = '30s'")
            # InnoDB spares the transaction that has changed more rows.
            take(connection, *range(100, 200))
            ready.set()
            waiting.wait(20)
            take(connection, 1)

    ready = threading.Event()
    crossing = threading.Thread(target=cross)

    def lock(connection: sa.Connection, size: int) -> None:
        if len(work.sizes) > 1:
            return
        crossing.start()
        ready.wait(20)
        take(connection, 1)
        waiting.set()
        take(connection, 150)

    work = Counting("w", lock)
    totals = made.runner(work, size=8).run()
    crossing.join()
    application.close()

    assert (totals.finished, sorted(made.done_by())) == (True, list(range(10)))
    assert work.sizes[:2] == [8, 4]


@pytest.mark.parametrize("engine_name", ["mariadb"], indirect=True)
@pytest.mark.mysql
def test_a_lock_that_is_not_had_in_time_halves_the_batch(made: Bed, engine_url: str) -> None:
    made.share_out(1)
    application = Database(engine_url)
    with application.begin() as theirs:
        theirs.execute(NUMBERS.insert().values(n=100, worker="x"))

        def wait(connection: sa.Connection, size: int) -> None:
            if len(work.sizes) == 1:
                connection.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 1")
                connection.execute(NUMBERS.insert().values(n=100, worker="w"))

        work = Counting("w", wait)
        totals = made.runner(work, size=8).run()
    application.close()

    assert totals.finished
    assert work.sizes[:2] == [8, 4]


def test_an_error_that_no_second_try_mends_is_raised_and_leaves_the_range_for_the_next(made: Bed) -> None:
    made.share_out(1)

    def fail(connection: sa.Connection, size: int) -> None:
        if len(broken.sizes) == 2:
            raise DatabaseError("no")

    broken = Counting("broken", fail)
    with pytest.raises(DatabaseError):
        made.runner(broken).run()

    assert sorted(made.done_by()) == [0, 1, 2]
    assert made.runner(Counting("next")).run().finished
    assert sorted(made.done_by()) == list(range(10))
