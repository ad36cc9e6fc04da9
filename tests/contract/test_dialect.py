"""The dialect interface: the same promises on every engine."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatctl import errors
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.types import EpochTime, UtcDateTime, json_text, long_text

METADATA = sa.MetaData()
#: Every kind of column, under names that need quoting.
THINGS = sa.Table(
    "some Things",
    METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("atWhen", UtcDateTime(3), key="moment"),
    sa.Column("epochMs", EpochTime(1_000), key="epoch_ms"),
    sa.Column("epochS", EpochTime(1), key="epoch_s"),
    sa.Column("isSo", sa.Boolean, key="truth"),
    sa.Column("n%", sa.BigInteger, key="number"),
    sa.Column("price", sa.Numeric(12, 2)),
    sa.Column("ratio", sa.Double),
    sa.Column("data", json_text()),
    sa.Column('te"xt', long_text(), key="text"),
)
KEYS = tuple(THINGS.c.keys())

Row = tuple[Any, ...]

ROWS: list[Row] = [
    (
        "a",
        datetime(2026, 1, 2, 3, 4, 5, 123000),
        1_700_000_000_123,
        12,
        True,
        -5,
        Decimal("1.50"),
        1.5,
        '{"a": 1}',
        "é 😀",
    ),
    ("b", None, None, None, False, None, None, None, None, ""),
    ("c", datetime(1960, 1, 2, 3, 4, 5, 7000), -1, -1, None, 2**62, Decimal("-0.01"), -0.25, "[]", "'\"\\%s\n\t\\N"),
    (
        "d",
        datetime(9999, 12, 31, 23, 59, 59, 999000),
        0,
        0,
        True,
        0,
        Decimal("9999999999.99"),
        0.0,
        '"x"',
        "Привет\r\n",
    ),
]


@pytest.fixture
def things(database: Database) -> Database:
    """A database that holds the table, empty."""
    with database.begin() as connection:
        METADATA.create_all(connection)
    return database


@contextmanager
def inserting(database: Database, rows: list[Row]) -> Iterator[sa.Connection]:
    with database.begin() as connection:
        database.dialect.bulk_insert(connection, THINGS, KEYS, rows)
        yield connection


def _text_of(key: str, value: Any) -> str:
    """The value as the fingerprint sees it, by the rule in its docstring."""
    if value is None:
        return "-;"
    if key == "moment":
        value = (value - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    elif key in ("epoch_ms", "epoch_s"):
        value *= 1_000 if key == "epoch_ms" else 1_000_000
    elif key in ("price", "ratio"):
        value = int(value * 1_000_000)
    elif key == "truth":
        value = int(value)
    return f"{len(str(value))}:{value}"


def expected_fingerprint(rows: list[Row]) -> tuple[int, str]:
    """What every engine must answer, computed by none of them."""
    high = low = 0
    for row in rows:
        digest = hashlib.md5("".join(map(_text_of, KEYS, row)).encode()).hexdigest()
        high, low = high + int(digest[:16], 16), low + int(digest[16:], 16)
    return len(rows), f"{high % 2**64:016x}{low % 2**64:016x}"


def test_the_same_rows_have_the_same_fingerprint_on_every_engine(things: Database) -> None:
    with inserting(things, ROWS) as connection:
        assert things.dialect.fingerprint(connection, THINGS) == expected_fingerprint(ROWS)


def test_a_fingerprint_does_not_depend_on_the_order_of_rows(things: Database) -> None:
    shuffled = random.Random(7).sample(ROWS, len(ROWS))
    with inserting(things, ROWS) as connection:
        before = things.dialect.fingerprint(connection, THINGS)
        connection.execute(THINGS.delete())
        things.dialect.bulk_insert(connection, THINGS, KEYS, shuffled)
        assert things.dialect.fingerprint(connection, THINGS) == before


@pytest.mark.parametrize("key", KEYS[1:])
def test_a_fingerprint_notices_a_change_in_any_column(things: Database, key: str) -> None:
    with inserting(things, ROWS) as connection:
        before = things.dialect.fingerprint(connection, THINGS)
        connection.execute(THINGS.update().where(THINGS.c.id == "a").values({key: None}))
        assert things.dialect.fingerprint(connection, THINGS) != before


def test_a_fingerprint_tells_values_that_only_read_alike_apart(things: Database) -> None:
    empty: Row = ("x", None, None, None, None, None, None, None, None, "")
    null: Row = ("x", None, None, None, None, None, None, None, None, None)
    found = []
    for row in (empty, null):
        with inserting(things, [row]) as connection:
            found.append(things.dialect.fingerprint(connection, THINGS))
            connection.execute(THINGS.delete())
    assert found[0] != found[1]


def test_an_empty_table_has_a_fingerprint(things: Database) -> None:
    with things.connect() as connection:
        assert things.dialect.fingerprint(connection, THINGS) == (0, "0" * 32)


def test_what_is_inserted_in_bulk_reads_back_as_it_was(things: Database) -> None:
    with inserting(things, ROWS) as connection:
        row = connection.execute(sa.select(THINGS).where(THINGS.c.id == "c")).mappings().one()
    assert row["atWhen"] == datetime(1960, 1, 2, 3, 4, 5, 7000, tzinfo=UTC)
    assert row["epochMs"] == datetime(1970, 1, 1, tzinfo=UTC) - timedelta(milliseconds=1)
    assert (row["isSo"], row["n%"], row["price"], row["ratio"]) == (None, 2**62, Decimal("-0.01"), -0.25)
    assert (row["data"], row['te"xt']) == ([], "'\"\\%s\n\t\\N")


_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.one_of(st.none(), _TEXT), min_size=1, max_size=8))
def test_any_text_survives_a_bulk_insert(things: Database, texts: list[str | None]) -> None:
    rows: list[Row] = [(str(number), *(None,) * 8, text) for number, text in enumerate(texts)]
    with things.engine.connect() as connection, connection.begin() as transaction:
        things.dialect.bulk_insert(connection, THINGS, KEYS, rows)
        found = connection.execute(sa.select(THINGS.c.text).order_by(THINGS.c.id)).scalars().all()
        transaction.rollback()
    assert list(found) == texts


def test_a_repeated_key_is_told_from_other_refusals(things: Database) -> None:
    with inserting(things, ROWS):
        pass
    with pytest.raises(errors.RepeatedKeyError), inserting(things, ROWS[:1]):
        pass
    with things.connect() as connection:
        assert things.dialect.fingerprint(connection, THINGS)[0] == len(ROWS)


def test_a_bulk_insert_is_whole_or_not_at_all(things: Database) -> None:
    twice = [*ROWS, ROWS[0]]
    with pytest.raises(errors.RepeatedKeyError), inserting(things, twice):
        pass
    with things.connect() as connection:
        assert things.dialect.fingerprint(connection, THINGS)[0] == 0


def test_after_a_savepoint_is_rolled_back_the_transaction_goes_on(things: Database) -> None:
    with inserting(things, ROWS[:1]) as connection:
        with pytest.raises(errors.RepeatedKeyError), things.savepoint(connection):
            things.dialect.bulk_insert(connection, THINGS, KEYS, ROWS[:1])
        things.dialect.bulk_insert(connection, THINGS, KEYS, ROWS[1:])
    with things.connect() as connection:
        assert things.dialect.fingerprint(connection, THINGS)[0] == len(ROWS)


def test_a_missing_table_is_named(database: Database) -> None:
    with pytest.raises(errors.MissingEntityError), database.connect() as connection:
        connection.execute(sa.select(THINGS))


def test_a_read_only_database_refuses_to_write(things: Database, engine_url: str) -> None:
    with inserting(things, ROWS):
        pass
    reader = Database(engine_url, read_only=True)
    try:
        with reader.connect() as connection:
            assert reader.dialect.fingerprint(connection, THINGS)[0] == len(ROWS)
        with pytest.raises(errors.ReadOnlyError), reader.begin() as connection:
            connection.execute(THINGS.delete())
    finally:
        reader.close()


def test_a_lock_has_one_holder_and_is_free_again_after_it(database: Database, engine_url: str) -> None:
    other = Database(engine_url)
    try:
        with database.engine.connect() as ours, other.engine.connect() as theirs:
            assert database.dialect.try_lock(ours, "chatctl_test")
            assert not other.dialect.try_lock(theirs, "chatctl_test")
            assert other.dialect.try_lock(theirs, "chatctl_another")
            database.dialect.unlock(ours, "chatctl_test")
            assert other.dialect.try_lock(theirs, "chatctl_test")
            other.dialect.unlock(theirs, "chatctl_test")
            other.dialect.unlock(theirs, "chatctl_another")
    finally:
        other.close()


def test_the_server_s_clock_is_in_utc(database: Database) -> None:
    with database.connect() as connection:
        now = database.dialect.now(connection)
    assert now.tzinfo is not None
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=30)


def test_a_connection_is_ended_by_its_id(database: Database) -> None:
    with database.connect() as admin, database.engine.connect() as doomed:
        identity = database.dialect.sessions.identity(doomed)
        if not identity:
            pytest.skip(f"{database.dialect.title} has no server to end a connection on")
        database.dialect.sessions.end(admin, identity)
        database.dialect.sessions.end(admin, identity)
        with pytest.raises(errors.ConnectionLostError), database.translating():
            doomed.exec_driver_sql("SELECT 1")


def test_a_connection_that_is_ended_is_named_though_tidying_up_fails_as_well(database: Database) -> None:
    with database.connect() as admin, database.engine.connect() as doomed:
        identity = database.dialect.sessions.identity(doomed)
        if not identity:
            pytest.skip(f"{database.dialect.title} has no server to end a connection on")

        def commit_whatever_happens() -> None:
            # As Alembic's autocommit_block() does.
            with doomed.begin() as transaction:
                try:
                    doomed.exec_driver_sql("SELECT 1")
                finally:
                    transaction.commit()

        doomed.rollback()
        database.dialect.sessions.end(admin, identity)
        with pytest.raises(errors.ConnectionLostError), database.translating():
            commit_whatever_happens()


def test_table_sizes_tell_rows_and_bytes_of_what_is_there(things: Database) -> None:
    with inserting(things, ROWS):
        pass
    with things.connect() as connection:
        sizes = things.dialect.table_sizes(connection, ["some Things", "not there"])
    assert set(sizes) == {"some Things"}
    assert sizes["some Things"].bytes > 0


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_the_parameters_that_prisma_adds_to_a_url_are_understood(engine_url: str) -> None:
    separator = "&" if "?" in engine_url else "?"
    database = Database(f"{engine_url}{separator}schema=elsewhere&connection_limit=5")
    with database.connect() as connection:
        assert connection.exec_driver_sql("SHOW search_path").scalar_one() == "elsewhere"
    database.close()
