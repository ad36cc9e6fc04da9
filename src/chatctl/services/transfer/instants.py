"""Instants as text and as numbers. Inside, an instant is a naive datetime that means UTC.

Text is ISO 8601; without an offset it is UTC. How a number is meant depends on the column, see `parse_instant`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chatctl.services.transfer.unfit import UnfitError

_EPOCH = datetime(1970, 1, 1)
_DAY_SECONDS = 86_400

#: Numbers from here on are milliseconds where a datetime column takes a number: as seconds, they'd be the year 5138.
_MILLISECONDS_FROM = 100_000_000_000

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_COMPACT_DATE = re.compile(r"\d{8}", re.ASCII)


def parse_instant(value: Any, ticks_per_second: int | None = None) -> datetime:
    """The instant that `value` means: ISO 8601 text, a datetime, or a number as text or number.

    A number counts ticks of the column's own unit since 1970 (`ticks_per_second`). Where the column has none, it
    is milliseconds from 100,000,000,000 on and else seconds, and text of exactly eight digits is a date. Raises
    ValueError or ArithmeticError where it is no instant of the years 1 to 9999.
    """
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text) is None or (ticks_per_second is None and _COMPACT_DATE.fullmatch(text)):
            return to_utc(datetime.fromisoformat(text.upper()))
        value = Decimal(text)
    if isinstance(value, datetime):
        return to_utc(value)
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        raise UnfitError("is not a time")
    is_large = not -_MILLISECONDS_FROM < value < _MILLISECONDS_FROM
    unit = ticks_per_second or (1_000 if is_large else 1)
    return unix_instant(value, unit)


def to_utc(value: datetime) -> datetime:
    """`value` in UTC, without a zone; a naive one is UTC already."""
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def unix_instant(number: int | float | Decimal, ticks_per_second: int) -> datetime:
    """The instant `number` ticks after 1970, rounded down to microseconds."""
    exact = number if isinstance(number, int) else Decimal(str(number))
    most = _DAY_SECONDS * 366 * 10_000 * ticks_per_second
    if not -most < exact < most:
        raise UnfitError("is out of the years 1 to 9999")
    scaled = exact * (1_000_000 // ticks_per_second)
    whole = int(scaled)
    return _EPOCH + timedelta(microseconds=whole - (scaled < whole))


def unix_ticks(instant: datetime, ticks_per_second: int) -> int:
    """Whole ticks from 1970 to `instant`, rounded down."""
    since = to_utc(instant) - _EPOCH
    seconds = since.days * _DAY_SECONDS + since.seconds
    return seconds * ticks_per_second + since.microseconds * ticks_per_second // 1_000_000


def truncated(instant: datetime, precision: int) -> datetime:
    """`instant` with `precision` decimal digits of a second, the rest cut off."""
    step = 10 ** (6 - precision)
    excess = instant.microsecond % step
    return instant.replace(microsecond=instant.microsecond - excess) if excess else instant


def iso_text(instant: datetime, precision: int) -> str:
    """`2026-01-02T03:04:05.678Z`, with `precision` decimal digits of a second."""
    utc = to_utc(instant)
    if precision == 0:
        return utc.isoformat(timespec="seconds") + "Z"
    if precision == 3:
        return utc.isoformat(timespec="milliseconds") + "Z"
    text = utc.isoformat(timespec="microseconds")
    return text[: len(text) + precision - 6] + "Z"
