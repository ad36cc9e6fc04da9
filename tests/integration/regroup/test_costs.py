"""What a batch costs doesn't grow with the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.support.regrouping import Mentored, Message

CHATS = 2_000
BATCH = 20


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
