"""Durations as people write them. Standard library only."""

from __future__ import annotations

import re
from datetime import timedelta

from chatctl.errors import UsageError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")


def parse_duration(text: str) -> timedelta:
    """Reads `90s`, `30m`, `6h`, `30d` or `2w`; raises UsageError."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(f"'{text}' is no duration: expected a number with s, m, h, d or w, such as 30d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
