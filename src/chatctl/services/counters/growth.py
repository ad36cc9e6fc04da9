"""`counters growth`: sessions per month and per project, and where that leads. Only reads."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chatctl.domain.counters import CounterReading, HighWater, IssuedIds
from chatctl.domain.result import Result
from chatctl.domain.session_ids import Month, Scope
from chatctl.services.counters.evidence import Counters, issued_in_sql

#: Whole months that a forecast looks back on.
_LOOK_BACK = 6
_SIX_DIGITS = 999_999


def growth(counters: Counters, high_water: HighWater, archives: Iterable[IssuedIds], now: datetime) -> Result:
    """Sessions by month and project, by the counters and what SQL knows of those that are gone; `now` is aware.

    The forecast for this month is its pace so far; for the next one, the trend of the whole months before.
    """
    totals = _totals(counters, issued_in_sql(high_water, archives))
    months = {scope.month: count for scope, count in totals.items() if scope.month}
    projects = {scope.project: count for scope, count in totals.items() if scope.project}
    current = Month.at(now)
    return Result(
        {
            "months": [{"month": str(month), "sessions": months[month]} for month in sorted(months)],
            "projects": [
                {"project": project, "sessions": count}
                for project, count in sorted(projects.items(), key=lambda item: (-item[1], item[0]))
            ],
            "forecast": _forecast(months, current, now),
        }
    )


def _totals(counters: Counters, in_sql: Mapping[Scope, int]) -> dict[Scope, int]:
    readings: Iterable[CounterReading] = counters.read(sorted(counters.scopes(), key=lambda scope: scope.sort_key))
    totals = dict(in_sql)
    for reading in readings:
        totals[reading.scope] = max(reading.number or 0, totals.get(reading.scope, 0))
    return totals


def _forecast(months: Mapping[Month, int], current: Month, now: datetime) -> dict[str, Any]:
    whole = [months.get(month, 0) for month in _before(current, _LOOK_BACK) if month >= min(months, default=current)]
    this_month = _at_pace(months.get(current, 0), now)
    trend = [*whole, this_month] if months.get(current) else whole
    following = max(0, round(_next_of(trend)))
    return {
        "month": str(current),
        "sessions_by_its_end": this_month,
        "next_month": str(_after(current)),
        "next_month_sessions": following,
        "outgrows_six_digits": following > _SIX_DIGITS or this_month > _SIX_DIGITS,
    }


def _at_pace(count: int, now: datetime) -> int:
    utc = now.astimezone(UTC)
    days = calendar.monthrange(utc.year, utc.month)[1]
    start = datetime(utc.year, utc.month, 1, tzinfo=UTC)
    elapsed = max((utc - start).total_seconds() / (days * 86_400), 1 / (days * 24))
    return max(count, round(count / elapsed))


def _next_of(values: Sequence[int]) -> float:
    """The value after `values` on their least-squares line (the last one where there is no line)."""
    count = len(values)
    if count < 2:
        return float(values[-1]) if values else 0.0
    middle, mean = (count - 1) / 2, sum(values) / count
    slope = sum((at - middle) * (value - mean) for at, value in enumerate(values)) / sum(
        (at - middle) ** 2 for at in range(count)
    )
    return mean + slope * (count - middle)


def _before(month: Month, count: int) -> list[Month]:
    """The `count` months before `month`, oldest first."""
    index = month.year * 12 + month.month - 1
    return [Month(at // 12, at % 12 + 1) for at in range(max(index - count, 12), index)]


def _after(month: Month) -> Month:
    return Month(month.year + month.month // 12, month.month % 12 + 1)
