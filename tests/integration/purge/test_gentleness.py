"""Where the server is to be spared, a purge takes small steps and rests between them."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from tests.support.purging import DAY, NOW, PurgeBed

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.services.purge import running
from chatctl.services.purge.limits import Resting
from chatctl.services.purge.target import PurgeRequest
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.thresholds import Thresholds

pytestmark = [
    pytest.mark.parametrize("layout_name", ["worker"], indirect=True),
    pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True),
]


@pytest.mark.parametrize(("thresholds", "batches"), [(Thresholds(), 1), (Thresholds(statement_ms=60_000), 2)])
def test_a_purge_with_thresholds_takes_small_batches(purging: PurgeBed, thresholds: Thresholds, batches: int) -> None:
    for number in range(60):
        purging.add(f"c{number:02}", NOW - 60 * DAY, messages=1)
    target = replace(purging.target, journal=Journal(purging.database, thresholds=thresholds))

    done = running.run(target, PurgeRequest(), running.Attendance(SilentProgress(), StopSignal()))

    assert done.data["deleted_chats"] == 60
    assert done.data["batches"] >= batches
    assert (done.data["batches"] == 1) is (thresholds == Thresholds())


def test_it_rests_for_as_long_as_the_last_batch_took(purging: PurgeBed) -> None:
    gate = Resting(lambda: True)
    gate()
    time.sleep(0.2)
    started = time.monotonic()

    assert gate()

    assert 0.15 < time.monotonic() - started < 5
