"""Any messages at all come to the partition that a plain loop in memory comes to, and go back to what they were."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.regrouping import Mentored, Message, partition

SOAK = bool(os.environ.get("CHATCTL_SOAK"))
EXAMPLES = 300 if SOAK else 12
GAP_SECONDS = 1800
START = datetime(2026, 3, 28, 22, tzinfo=UTC)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)] if SOAK else []

#: Equal moments, pauses around the limit and exactly of it, long ones, in several time zones.
OFFSETS = st.sampled_from([0, 0, 1, 1799, 1800, 1801, 3600, 3601, 5400, 86_400, 86_401, 10**8])
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-8))])
USERS = st.sampled_from(["half", "half", "half", "u2", "U2", "u2 ", "o'brien", "юзер", "😀", "a:b", "a"])
MENTORS = st.sampled_from([None, "m1", "m1", "M1", "m:1", "ментор", ":m1", "b:1"])
TEXTS = st.sampled_from(["", "hello", "two\nlines", "'; DROP TABLE chats; --", "😀" * 50, "x" * 70_000])


@st.composite
def messages(draw: st.DrawFn) -> list[Message]:
    """A few messages, in no order."""
    numbers = draw(st.lists(st.integers(0, 10**6), unique=True, max_size=25))
    return [
        Message(
            f"{number:07d}",
            draw(USERS),
            draw(MENTORS),
            (START + timedelta(seconds=draw(OFFSETS) + draw(OFFSETS))).astimezone(draw(ZONES)),
            draw(TEXTS),
        )
        for number in numbers
    ]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    found=messages(),
    gap=st.booleans(),
    general=st.booleans(),
    batch_size=st.sampled_from([1, 3, None]),
    workers=st.sampled_from([1, 2]),
)
def test_a_run_is_the_plain_grouping_and_its_undo_the_identity(
    mentored: Mentored, found: list[Message], gap: bool, general: bool, batch_size: int | None, workers: int
) -> None:
    mentored.empty()
    mentored.fill(found)
    before = mentored.fingerprints()
    asked = {"null_keys": "general" if general else "standalone"}

    mentored.regroup("30m" if gap else "none", batch_size=batch_size, workers=workers, **asked)

    assert mentored.partition() == partition(found, GAP_SECONDS if gap else None, general=general)
    assert [check for check in mentored.verify().data["checks"] if not check["ok"]] == []

    mentored.undo(batch_size)

    assert mentored.fingerprints() == before
