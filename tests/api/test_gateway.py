"""How requests reach SQLite: one writer, many to a commit, each answered by its own outcome."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chatctl.errors import CannotConnectError, RepeatedKeyError
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.serving.gateway import Gateway


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    made = Database(sqlite_url)
    with made.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
    yield made
    made.close()


@pytest.fixture
def gateway(database: Database) -> Iterator[Gateway]:
    made = Gateway(database, Database(str(database.url), read_only=True))
    yield made
    made.close()


def insert(number: int) -> Any:
    return lambda connection: connection.execute(sa.text("INSERT INTO t VALUES (:n)"), {"n": number}) and number


def stored(gateway: Gateway) -> list[int]:
    return gateway.read(lambda connection: list(connection.scalars(sa.text("SELECT id FROM t ORDER BY id"))))


def test_what_waits_is_committed_together(gateway: Gateway, database: Database) -> None:
    commits = []
    sa.event.listen(database.engine, "commit", lambda connection: commits.append(1))
    holding, go = threading.Event(), threading.Event()

    def hold(connection: sa.Connection) -> None:
        holding.set()
        go.wait(10)

    first = gateway.submit(hold)
    assert holding.wait(10)
    waiting = [gateway.submit(insert(number)) for number in range(50)]
    go.set()
    first.result(10)
    assert [future.result(10) for future in waiting] == list(range(50))
    assert len(commits) == 2
    assert stored(gateway) == list(range(50))


def test_one_that_fails_fails_alone(gateway: Gateway) -> None:
    holding, go = threading.Event(), threading.Event()
    gateway.submit(lambda connection: holding.set() or go.wait(10))
    assert holding.wait(10)
    futures = [gateway.submit(insert(number)) for number in (1, 2, 2, 3)]
    go.set()
    assert [futures[0].result(10), futures[1].result(10), futures[3].result(10)] == [1, 2, 3]
    with pytest.raises(RepeatedKeyError):
        futures[2].result(10)
    assert stored(gateway) == [1, 2, 3]


def test_coroutines_are_told_too_and_one_that_left_harms_nobody(gateway: Gateway) -> None:
    async def several() -> list[Any]:
        awaited = [asyncio.ensure_future(gateway.submit_from_loop(insert(number))) for number in (1, 2, 2)]
        awaited[0].cancel()
        return await asyncio.gather(*awaited, return_exceptions=True)

    answers = asyncio.run(several())
    assert [type(answer) for answer in answers] == [asyncio.CancelledError, int, RepeatedKeyError]
    assert gateway.write(insert(9)) == 9


def test_a_gateway_that_is_closed_finishes_what_it_took_and_takes_no_more(gateway: Gateway) -> None:
    futures = [gateway.submit(insert(number)) for number in range(20)]
    gateway.close()
    assert [future.result(0) for future in futures] == list(range(20))
    with pytest.raises(CannotConnectError):
        gateway.submit(insert(99))


def test_the_log_is_written_back_by_the_way(gateway: Gateway, database: Database) -> None:
    log = Path(f"{database.url.database}-wal")
    for number in range(100):
        gateway.write(insert(number))
    before = Path(str(database.url.database)).stat().st_mtime_ns
    database.dialect.tidy(database.engine)
    assert log.stat().st_size > 0
    assert Path(str(database.url.database)).stat().st_mtime_ns >= before
    assert stored(gateway) == list(range(100))
