"""Real messages: the partition that is known, whatever the batches, the workers and the order of rows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.support.regrouping import Mentored, partition
from tests.support.regrouping import sample as messages_of

CHATS = {"none": 1621, "30m": 10248, "6h": 7253, "24h": 5084, "30d": 2033}
#: Chats and messages after a run, the same on every engine.
CHECKSUMS: dict[str, set[str]] = {}


@pytest.mark.parametrize("gap", CHATS)
def test_the_sample_becomes_as_many_chats_as_are_known(mentored: Mentored, sample: Path, gap: str) -> None:
    mentored.fill(messages_of(sample))
    plan = mentored.plan(gap)

    result = mentored.regroup(gap)

    assert (plan["groups"], plan["chats_to_create"], plan["messages_to_move"]) == (1621, CHATS[gap], 48126)
    assert (result.data["chats_created"], result.data["messages_moved"]) == (CHATS[gap], 48126)
    assert mentored.verify().data["ok"]
    seen = CHECKSUMS.setdefault(gap, set())
    seen.add(repr(mentored.fingerprints()))
    assert len(seen) == 1


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (7, 4), (1000, 1), (None, 4)])
@pytest.mark.parametrize("gap", ["none", "6h"])
def test_neither_batches_nor_workers_nor_the_order_of_rows_matter(
    mentored: Mentored, sample: Path, gap: str, batch_size: int | None, workers: int
) -> None:
    messages = messages_of(sample, 150 if batch_size == 1 else 1500 if batch_size == 7 else 8000)
    random.Random(batch_size).shuffle(messages)
    mentored.fill(messages)

    mentored.regroup(gap, batch_size=batch_size, workers=workers)

    assert mentored.partition() == partition(messages, None if gap == "none" else 6 * 3600)
    assert mentored.verify().data["ok"]
