"""How long a purge may run, at what time of day, and what file makes it wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatctl.domain.windows import Window
from chatctl.stores.sql.batches.gate import Limits, Resting

__all__ = ["Limits", "Resting", "limits_of", "utc_now"]


def limits_of(max_runtime: timedelta | None, window: Window | None, stop_file: Path | None = None) -> Limits:
    """The limits as the batch mechanism takes them."""
    hours = (window.start, window.end) if window else None
    return Limits(max_runtime.total_seconds() if max_runtime is not None else None, hours, stop_file)


def utc_now() -> datetime:
    """The clock that a purge's window is read by."""
    return datetime.now(UTC)
