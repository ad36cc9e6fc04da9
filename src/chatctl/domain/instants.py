"""Instants as the journal keeps them: epoch milliseconds, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970 of an aware `moment`."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_epoch_ms(milliseconds: int) -> datetime:
    """The aware instant in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def iso(milliseconds: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and a Z, as JSON output shows instants; None stays None."""
    if milliseconds is None:
        return None
    return from_epoch_ms(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
