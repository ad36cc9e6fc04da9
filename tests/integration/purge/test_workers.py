"""Several workers on one purge come to the same as one, and a limit, a missing index or SQLite leaves it to one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.purging import NOW, PurgeBed

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Result
from chatctl.services.purge import restoring, running
from chatctl.services.purge.restoring import RestoreRequest
from chatctl.services.purge.target import PurgeRequest
from chatctl.stores.sql.batches.ranges import Ranges

pytestmark = pytest.mark.parametrize("layout_name", ["worker", "mentor"], indirect=True)
on_servers = pytest.mark.parametrize(
    "engine_name",
    [pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)


def purge(purging: PurgeBed, workers: int, **options: Any) -> Result:
    attendance = running.Attendance(SilentProgress(), StopSignal(), batch_size=2, workers=workers)
    return running.run(purging.target, PurgeRequest(**options), attendance)


def fill(purging: PurgeBed) -> None:
    """Conversations on both sides of the cutoff, several of them at the same instant."""
    for number in range(40):
        purging.add(f"c{number:02}", NOW - timedelta(days=29 + number // 3), account=f"a{number % 3}")


def ranges(purging: PurgeBed, run_id: str | None) -> int:
    with purging.database.connect() as connection:
        return len(Ranges(purging.target.journal).positions(connection, run_id or ""))


@on_servers
def test_three_workers_delete_and_archive_exactly_what_one_does(purging: PurgeBed) -> None:
    fill(purging)
    before = purging.fingerprints()
    names = [f"c{number:02}" for number in range(40)]
    expected = {name for number, name in enumerate(names) if 29 + number // 3 <= 30}

    done = purge(purging, 3)

    assert ranges(purging, done.run_id) > 1
    assert purging.names(*names) == expected
    assert done.data["deleted_chats"] == done.data["archived"] == 40 - len(expected)
    assert sum(done.data["by_account"].values()) == 40 - len(expected)
    assert purge(purging, 3).data["deleted_chats"] == 0
    restoring.restore(purging.target, RestoreRequest.of(done.run_id), SilentProgress(), StopSignal())
    assert purging.fingerprints() == before


def test_a_limit_is_left_to_one_worker_and_kept(purging: PurgeBed) -> None:
    fill(purging)

    done = purge(purging, 3, limit=5)

    assert done.data["deleted_chats"] == 5
    assert ranges(purging, done.run_id) == 1


@on_servers
def test_what_several_workers_left_one_can_finish(purging: PurgeBed) -> None:
    fill(purging)
    stop = StopSignal()

    class Impatient(SilentProgress):
        def advance(self, units: int) -> None:
            stop.request()

    attendance = running.Attendance(Impatient(), stop, batch_size=2, workers=3)
    stopped = running.run(purging.target, PurgeRequest(), attendance)
    done = purge(purging, 1)

    assert 0 < stopped.data["deleted_chats"] < done.data["deleted_chats"]
    assert done.run_id == stopped.run_id
    assert purging.names("c06", "c39") == set()
