"""What a plan says of locks and rewriting is what others see while the statement really runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.verdicts.observing import KINDS, READS, REWRITES, WRITES, Agreement, Observer, cases
from tests.verdicts.on_mariadb import MariaDBObserver
from tests.verdicts.on_postgresql import PostgreSQLObserver
from tests.verdicts.on_sqlite import SQLiteObserver

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.statements import Statement

LEAST = 0.95
#: Enough for work on every row to take a while.
ROWS = {"sqlite": 200_000, "mariadb": 60_000}
ENGINES = [
    "sqlite",
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]

log = logging.getLogger(__name__)


@pytest.fixture
def observer(engine_name: str, engine_url: str) -> Iterator[Observer]:
    if engine_name == "sqlite":
        yield SQLiteObserver(engine_url, ROWS[engine_name])
    elif engine_name == "mariadb":
        yield MariaDBObserver(engine_url, ROWS[engine_name])
    else:
        with closing(PostgreSQLObserver(engine_url)) as looking:
            yield looking


def said(url: str, sql: str) -> set[str]:
    """A plan's verdict on the statement."""
    database = Database(url)
    gauge = database.dialect.gauge()
    with database.connect() as connection, database.dialect.scratch_copy(connection) as scratch:
        cursor = scratch.connection.connection.cursor()
        found = gauge.run(Statement(sql), cursor, scratch.connection)
        cursor.close()
    database.close()
    assert found is not None
    blocked = {"nothing": set(), "writes": {WRITES}, "reads and writes": {READS, WRITES}}[found.blocks]
    return blocked | ({REWRITES} if found.rewrites_table else set())


def compare(observer: Observer, url: str, statements: list[str]) -> Agreement:
    agreement = Agreement()
    for sql in statements:
        observer.make()
        verdict = said(url, sql)
        seen = [observer.seen(sql)]
        if seen[0] != verdict:
            # A busy machine can hold a statement of a moment up: three looks, and what most of them saw.
            seen += [_seen_again(observer, sql) for _ in range(2)]
        agreement.add(sql, {kind for kind in KINDS if sum(kind in look for look in seen) * 2 > len(seen)}, verdict)
    return agreement


def _seen_again(observer: Observer, sql: str) -> set[str]:
    observer.make()
    return observer.seen(sql)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine_name", ENGINES, indirect=True)
def test_every_verdict_is_held_against_what_others_see(engine_name: str, engine_url: str, observer: Observer) -> None:
    agreement = compare(observer, engine_url, cases(engine_name))
    log.info("%s: %s", engine_name, agreement)
    _check(agreement)


@pytest.mark.parametrize("engine_name", ENGINES, indirect=True)
def test_verdicts_agree_with_what_others_see(engine_name: str, engine_url: str, observer: Observer) -> None:
    step = {"sqlite": 9, "mariadb": 23, "postgresql": 5}[engine_name]
    _check(compare(observer, engine_url, cases(engine_name)[::step]))


def test_there_are_enough_cases() -> None:
    assert sum(len(cases(name)) for name in ("sqlite", "mariadb", "postgresql")) >= 100


def _check(agreement: Agreement) -> None:
    for kind in KINDS:
        assert agreement.precision(kind) >= LEAST, agreement
        assert agreement.recall(kind) >= LEAST, agreement
