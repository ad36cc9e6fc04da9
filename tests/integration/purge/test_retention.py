"""What goes and what stays, on every layout with a clock and every engine."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.purging import DAY, MILLISECOND, NOW, PurgeBed

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.retention import Retention
from chatctl.services.purge import running
from chatctl.services.purge.planning import plan
from chatctl.services.purge.target import PurgeRequest

CUTOFF = NOW - 30 * DAY

INDEX = "idx_conversations_last_accessed_at"

just_worker = pytest.mark.parametrize("layout_name", ["worker"], indirect=True)
just_native = pytest.mark.parametrize("layout_name", ["native"], indirect=True)


class Impatient(SilentProgress):
    """Asks for the purge to stop after its first batch."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop

    def advance(self, units: int) -> None:
        self._stop.request()


def of_table(purging: PurgeBed) -> str:
    """What DROP INDEX takes behind the name."""
    return " ON conversations" if purging.database.dialect.title in ("MariaDB", "MySQL") else ""


def test_exactly_thirty_days_stays_and_one_millisecond_more_goes(purging: PurgeBed) -> None:
    purging.add("exact", CUTOFF)
    purging.add("older", CUTOFF - MILLISECOND, messages=3)
    purging.add("fresh", NOW)
    planned = plan(purging.target, PurgeRequest()).data

    done = purging.purge().data

    assert purging.names("exact", "older", "fresh") == {"exact", "fresh"}
    assert (planned["eligible"], done["deleted_chats"], done["deleted_messages"]) == (1, 1, 3)
    assert done["archived"] == 1
    assert purging.count("messages") == 4
    assert purging.purge().data["deleted_chats"] == 0


def test_created_long_ago_but_read_today_stays(purging: PurgeBed) -> None:
    created = {"created_at": NOW - 90 * DAY} if purging.layout.purge.clock != "created_at" else {}
    purging.add("read", NOW - 90 * DAY, **created)
    purging.touch("read", NOW)

    assert purging.purge().data["deleted_chats"] == 0
    assert purging.names("read") == {"read"}


def test_a_purge_of_one_account_leaves_every_other_untouched(purging: PurgeBed) -> None:
    for account in ("a1", "a2"):
        purging.add(f"c-{account}", NOW - 90 * DAY, account=account)

    done = purging.purge(account="a1").data

    assert purging.names("c-a1", "c-a2") == {"c-a2"}
    assert done["by_account"] == {"a1": 1}


def test_what_has_no_last_access_or_one_ahead_stays_and_is_reported(purging: PurgeBed) -> None:
    nullable = purging.layout.entities["chats"].columns[purging.layout.purge.clock].nullable
    purging.add("ahead", NOW + 2 * DAY)
    if nullable:
        purging.add("never", None)

    done = purging.purge()

    assert done.data["deleted_chats"] == 0
    assert {notice.code for notice in done.warnings} >= {"in_future", *(["without_clock"] if nullable else [])}


@just_worker
def test_small_batches_come_to_the_same_as_one(purging: PurgeBed) -> None:
    for number in range(23):
        purging.add(f"c{number:02}", NOW - (20 + number) * DAY)

    done = purging.purge(batch_size=4).data

    assert done["deleted_chats"] == 12
    assert purging.names(*(f"c{number:02}" for number in range(23))) == {f"c{number:02}" for number in range(11)}


@just_worker
def test_a_limit_is_kept_and_the_rest_goes_the_next_time(purging: PurgeBed) -> None:
    for number in range(10):
        purging.add(f"c{number}", NOW - (40 + number) * DAY)

    first = purging.purge(limit=4, batch_size=3).data

    assert (first["deleted_chats"], first["backlog"]) == (4, 6)
    assert purging.names("c9", "c8", "c7", "c6", "c5") == {"c5"}
    assert purging.purge().data["deleted_chats"] == 6


@just_native
def test_of_several_rules_the_longest_counts_and_none_undercuts_the_minimum(purging: PurgeBed) -> None:
    purging.retention = Retention.of_days(
        30, 10, account={"long": 90, "short": 2}, project={"p1": 60}, chat_type={"project": 20}
    )
    ages = {"default": 31, "long": 89, "short": 11, "short-minimum": 9, "type": 21, "both": 59}
    purging.add("default", NOW - ages["default"] * DAY)
    purging.add("long", NOW - ages["long"] * DAY, account="long")
    purging.add("short", NOW - ages["short"] * DAY, account="short")
    purging.add("short-minimum", NOW - ages["short-minimum"] * DAY, account="short")
    purging.add("type", NOW - ages["type"] * DAY, chat_type="project")
    purging.add("both", NOW - ages["both"] * DAY, chat_type="project", project_id="p1")

    done = purging.purge()

    assert purging.names(*ages) == {"long", "short-minimum", "both"}
    assert done.data["deleted_chats"] == 3
    assert "below_minimum" in {notice.code for notice in done.warnings}


@just_native
def test_what_the_layout_exempts_stays(purging: PurgeBed) -> None:
    purging.add("pinned", NOW - 90 * DAY, is_pinned=True)
    purging.add("loose", NOW - 90 * DAY, is_pinned=False)

    assert plan(purging.target, PurgeRequest()).data["exempt"] == 1
    purging.purge()

    assert purging.names("pinned", "loose") == {"pinned"}


@just_worker
def test_a_conversation_that_got_a_message_since_the_plan_stays(purging: PurgeBed) -> None:
    purging.add("written", NOW - 90 * DAY)
    with purging.database.begin() as connection:
        purging._insert(
            connection, "messages", {"id": 99, "chat_id": "written", "created_at": NOW + timedelta(seconds=1)}
        )

    assert purging.purge().data["deleted_chats"] == 0


@just_worker
def test_an_index_made_after_an_interruption_keeps_nothing_from_going(purging: PurgeBed) -> None:
    with purging.database.begin() as connection:
        connection.exec_driver_sql(f"DROP INDEX {INDEX}{of_table(purging)}")
    for number in range(9):
        purging.add(f"c{number}", NOW - (25 + number) * DAY)
    stop = StopSignal()
    stopped = running.run(purging.target, PurgeRequest(), running.Attendance(Impatient(stop), stop, batch_size=1))
    assert stopped.data["deleted_chats"] == 1
    with purging.database.begin() as connection:
        connection.exec_driver_sql(f"CREATE INDEX {INDEX} ON conversations (last_accessed_at)")

    done = purging.purge(batch_size=1)

    assert (done.run_id, done.data["deleted_chats"]) == (stopped.run_id, 3)
    assert purging.count("chats") == 6


@just_worker
def test_without_an_index_on_the_clock_the_plan_says_what_that_costs(purging: PurgeBed) -> None:
    with purging.database.begin() as connection:
        connection.exec_driver_sql(f"DROP INDEX {INDEX}{of_table(purging)}")
    for number in range(7):
        purging.add(f"c{number}", NOW - (28 + number) * DAY)

    planned = plan(purging.target, PurgeRequest())

    assert planned.data["clock_index"] is None
    assert "no_clock_index" in {notice.code for notice in planned.warnings}
    assert purging.purge(batch_size=2).data["deleted_chats"] == 4
