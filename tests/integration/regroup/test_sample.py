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


#: `make test` takes one with pauses and one without; the others are slow ones.
GAPS = [gap if gap in ("none", "6h") else pytest.param(gap, marks=pytest.mark.slow) for gap in CHATS]

#: Batch size, workers, messages. A batch of one message takes its time.
USUAL = [(7, 4, 300), (None, 4, 3000)]
ALL = [(1, 1, 400), (1, 4, 400), (7, 1, 1500), (1000, 1, 8000), (1000, 4, 48126), (None, 1, 48126), (None, 4, 48126)]


@pytest.mark.parametrize("gap", GAPS)
def test_the_sample_becomes_as_many_chats_as_are_known(mentored: Mentored, sample: Path, gap: str) -> None:
    mentored.fill(messages_of(sample))
    plan = mentored.plan(gap)

    result = mentored.regroup(gap, workers=2)

    assert (plan["groups"], plan["chats_to_create"], plan["messages_to_move"]) == (1621, CHATS[gap], 48126)
    assert (result.data["chats_created"], result.data["messages_moved"]) == (CHATS[gap], 48126)
    assert mentored.verify().data["ok"]
    seen = CHECKSUMS.setdefault(gap, set())
    seen.add(repr(mentored.fingerprints()))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("batch_size", "workers", "count"), [*USUAL, *(pytest.param(*case, marks=pytest.mark.slow) for case in ALL)]
)
@pytest.mark.parametrize("gap", ["none", "6h"])
def test_neither_batches_nor_workers_nor_the_order_of_rows_matter(
    mentored: Mentored, sample: Path, gap: str, batch_size: int | None, workers: int, count: int
) -> None:
    messages = messages_of(sample, count)
    random.Random(batch_size).shuffle(messages)
    mentored.fill(messages)

    mentored.regroup(gap, batch_size=batch_size, workers=workers)

    assert mentored.partition() == partition(messages, None if gap == "none" else 6 * 3600)
    assert mentored.verify().data["ok"]
