"""Pauses and instants as they are typed."""

from __future__ import annotations

import pytest

from chatctl.domain.grouping import Grouping, gap_seconds, instant
from chatctl.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("none", None), ("45s", 45), ("30m", 1800), ("6h", 21_600), ("30d", 2_592_000)]
)
def test_a_pause_is_read(text: str, seconds: int | None) -> None:
    assert gap_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0m", "m", "6", "6H", "-6h", "1w", "6h30m"])
def test_what_is_no_pause_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no pause"):
        gap_seconds(text)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00+00:00"),
    ],
)
def test_an_instant_is_utc_unless_it_names_a_zone(text: str, utc: str) -> None:
    assert instant(text) == utc


def test_what_is_no_instant_is_refused() -> None:
    with pytest.raises(UsageError, match="no date"):
        instant("yesterday")


def test_options_survive_the_journal() -> None:
    grouping = Grouping(("user_id",), 60, "general", "none", "u1", instant("2026-01-01"), None)

    assert Grouping.from_json(grouping.as_json()) == grouping
