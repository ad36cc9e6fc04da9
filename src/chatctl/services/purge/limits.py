"""How long a purge may run, at what time of day, and what file makes it wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatctl.domain.windows import Window
from chatctl.stores.sql.batches.gate import Limits

__all__ = ["Limits", "Resting", "limits_of", "utc_now"]


class Resting:
    """A gate that lets the server rest for as long as the last batch took, then asks `gate`. One for each worker."""

    def __init__(self, gate: Callable[[], bool]) -> None:
        self._gate = gate
        self._since: float | None = None

    def __call__(self) -> bool:
        """Whether the run may go on."""
        if self._since is not None:
            time.sleep(time.monotonic() - self._since)
        may_go_on = self._gate()
        self._since = time.monotonic()
        return may_go_on


def limits_of(max_runtime: timedelta | None, window: Window | None, stop_file: Path | None = None) -> Limits:
    """The limits as the batch mechanism takes them."""
    hours = (window.start, window.end) if window else None
    return Limits(max_runtime.total_seconds() if max_runtime is not None else None, hours, stop_file)


def utc_now() -> datetime:
    """The clock that a purge's window is read by."""
    return datetime.now(UTC)
