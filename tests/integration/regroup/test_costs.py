"""What a batch costs doesn't grow with the table."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.regrouping import Mentored, Message

CHATS = 2_000
BATCH = 20
MESSAGES = 60_000
#: SQLite tells of so many steps of its machine at once.
STEPS = 1_000


def rows_read(mentored: Mentored) -> int:
    """How many rows the server has read for anybody so far."""
    with mentored.database.connect() as connection:
        found = connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Handler_read%%'")
        return sum(int(count) for _, count in found)


@pytest.mark.mysql
@pytest.mark.parametrize("engine_name", ["mariadb"], indirect=True)
def test_undoing_reads_each_chat_a_few_times_whatever_the_batches(mentored: Mentored) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    mentored.fill(Message(f"id{n:05d}", f"u{n:04d}", "m1", start + timedelta(seconds=n)) for n in range(CHATS))
    mentored.regroup()
    before = rows_read(mentored)

    mentored.undo(batch_size=BATCH)

    # To look for them among all chats would be a hundred more for each.
    assert rows_read(mentored) - before < 60 * CHATS
    with mentored.database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(mentored.tables["chats"])) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_batch_of_many_messages_does_not_read_the_whole_table(mentored: Mentored) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    mentored.fill(Message(f"id{n:05d}", f"u{n % 50:02d}", "m1", start + timedelta(seconds=n)) for n in range(MESSAGES))
    mentored.execute(sa.text("ANALYZE messages"))
    before = rows_read_in_order(mentored)

    # More than the planner thinks are free: it takes one row in two hundred for that.
    mentored.regroup(batch_size=MESSAGES // 40)
    mentored.undo(batch_size=MESSAGES // 40)

    assert rows_read_in_order(mentored) - before < 2 * MESSAGES


def rows_read_in_order(mentored: Mentored) -> int:
    """How many messages PostgreSQL has read by walking through the table, once all sessions have told."""
    mentored.database.close()
    query = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'messages'"
    with mentored.database.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        return int(connection.exec_driver_sql(query).scalar_one())


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_joining_chats_that_are_there_goes_through_the_messages_once(mentored: Mentored) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    mentored.fill(Message(f"id{n:05d}", f"u{n:04d}", "m1", start + timedelta(seconds=n)) for n in range(CHATS))
    mentored.regroup()
    later = start + timedelta(days=1)
    mentored.fill(Message(f"jd{n:05d}", f"u{n:04d}", "m1", later + timedelta(seconds=n)) for n in range(CHATS))
    steps = itertools.count()

    @sa.event.listens_for(mentored.database.engine, "checkout")
    def count(connection: Any, *_: object) -> None:
        connection.set_progress_handler(lambda: next(steps) * 0, STEPS)

    mentored.database.engine.dispose()
    mentored.regroup()

    # By a list of the chats it was sixteen times as much among so few, and grew with their square.
    assert next(steps) * STEPS < 2_000 * CHATS
    assert mentored.verify().data["ok"]
