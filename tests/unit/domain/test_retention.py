"""Policies: which one counts, and when a conversation may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.domain.retention import Hold, Holds, Retention, backlog_grows, guard_reasons
from chatctl.errors import UsageError

NOW = datetime(2026, 6, 15, 12, 0, 0, 123_456, tzinfo=UTC)
DAYS = st.integers(1, 400)


def test_exactly_the_retention_stays_and_a_millisecond_more_goes() -> None:
    policy = Retention.of_days(30).policy_for()
    exact = policy.cutoff(NOW)

    assert exact == datetime(2026, 5, 16, 12, 0, 0, 123_000, tzinfo=UTC)
    assert not Retention.of_days(30).expired(exact, NOW)
    assert Retention.of_days(30).expired(exact - timedelta(milliseconds=1), NOW)


@pytest.mark.parametrize("accessed", [None, NOW, NOW + timedelta(days=1)])
def test_what_nobody_knows_or_lies_ahead_never_goes(accessed: datetime | None) -> None:
    assert not Retention.of_days(1).expired(accessed, NOW)


@given(DAYS, DAYS, DAYS, DAYS)
def test_of_the_rules_that_fit_the_longest_counts_and_never_less_than_the_minimum(
    default: int, minimum: int, account: int, project: int
) -> None:
    retention = Retention.of_days(default, minimum, account={"a": account}, project={"p": project})

    def days(**values: str) -> float:
        return retention.policy_for(**values).retention_days

    assert days(account="a", project="p") == max(account, project, minimum)
    assert days(account="a", project="q") == max(account, minimum)
    assert days(account="b") == max(default, minimum)
    assert retention.shortest == timedelta(days=max(minimum, min(default, account, project)))


@pytest.mark.parametrize("days", [0, -1])
def test_a_retention_of_no_time_is_refused(days: int) -> None:
    with pytest.raises(UsageError, match="would delete everything"):
        Retention.of_days(days)


def test_a_hold_protects_until_it_expires_or_is_released() -> None:
    hold = Hold("h", "user", "u1", "x", "x", 1, expires_ms=100)

    assert hold.holds_at(99)
    assert not hold.holds_at(100)
    assert not Hold("h", "user", "u1", "x", "x", 1, released_ms=50).holds_at(60)
    assert Holds.of([hold]).protect(user="u1", chat="c")
    assert not Holds.of([hold]).protect(user="u2", chat="u1")


@pytest.mark.parametrize(
    ("eligible", "total", "ahead_seconds", "reasons"),
    [(500, 1000, 0, 0), (501, 1000, 0, 1), (999, 999, 0, 0), (0, 5, 61, 1), (0, 5, -61, 1), (900, 1000, 90, 2)],
)
def test_a_guard_speaks_of_more_than_half_and_of_clocks_that_differ(
    eligible: int, total: int, ahead_seconds: int, reasons: int
) -> None:
    assert len(guard_reasons(eligible, total, timedelta(seconds=ahead_seconds))) == reasons


@pytest.mark.parametrize(
    ("backlogs", "grows"),
    [([], False), ([1, 2], False), ([1, 2, 3], True), ([9, 1, 2, 3], True), ([1, 2, 2], False), ([1, 2, 3, 1], False)],
)
def test_a_backlog_grows_where_it_did_over_three_runs(backlogs: list[int], grows: bool) -> None:
    assert backlog_grows(backlogs) is grows
