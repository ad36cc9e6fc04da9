"""Time windows in which work may run, UTC. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time

from chatctl.errors import UsageError

_WINDOW = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


@dataclass(frozen=True)
class Window:
    """From `start` to `end` each day, over midnight where `end` is the earlier; `end` itself is outside."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Window:
        """Reads `01:00-05:30`; raises UsageError."""
        match = _WINDOW.fullmatch(text.strip())
        try:
            if match is None:
                raise ValueError
            hours = [int(digits) for digits in match.groups()]
            window = cls(time(hours[0], hours[1]), time(hours[2], hours[3]))
        except ValueError:
            raise UsageError(f"'{text}' is no time window: expected one such as 01:00-05:30, in UTC.") from None
        if window.start == window.end:
            raise UsageError(f"The time window '{text}' is empty.")
        return window

    def contains(self, moment: datetime) -> bool:
        """Whether the aware `moment` lies in the window."""
        clock = moment.astimezone(UTC).time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end
