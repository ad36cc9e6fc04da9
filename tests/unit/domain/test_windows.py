"""Time windows, UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from chatctl.domain.windows import Window
from chatctl.errors import UsageError


@pytest.mark.parametrize(
    ("window", "clock", "inside"),
    [
        ("01:00-05:30", "01:00", True),
        ("01:00-05:30", "05:29", True),
        ("01:00-05:30", "05:30", False),
        ("22:00-04:00", "23:59", True),
        ("22:00-04:00", "03:59", True),
        ("22:00-04:00", "12:00", False),
    ],
)
def test_a_window_reaches_over_midnight_and_ends_before_its_end(window: str, clock: str, inside: bool) -> None:
    moment = datetime.fromisoformat(f"2026-06-15T{clock}:00+00:00")
    assert Window.parse(window).contains(moment) is inside
    assert Window.parse(window).contains(moment.astimezone(timezone(timedelta(hours=9)))) is inside


@pytest.mark.parametrize("text", ["", "1-2", "24:00-25:00", "01:00", "03:00-03:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Window.parse(text)
