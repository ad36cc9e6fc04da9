"""How session numbers grow, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatctl.render.pages.charts import Series, bars, lines
from chatctl.render.pages.html import Html, facts, heading, page, section, table, tiles


def growth_page(data: Mapping[str, Any]) -> str:
    """The page of what `counters growth` answers."""
    return page("Sessions by month and project", _parts(data))


def _parts(data: Mapping[str, Any]) -> Iterator[Html]:
    forecast, months = data["forecast"], data["months"]
    state = ("outgrows six digits", "warn") if forecast["outgrows_six_digits"] else ("six digits are enough", "good")
    yield heading("Sessions by month and project", state=state[0], kind=state[1], under="General sessions by UTC month")
    yield tiles(
        {
            "sessions": sum(item["sessions"] for item in months) + sum(item["sessions"] for item in data["projects"]),
            "projects": len(data["projects"]),
            f"by the end of {forecast['month']}": forecast["sessions_by_its_end"],
            f"in {forecast['next_month']}": forecast["next_month_sessions"],
        }
    )
    points = [(float(at), float(item["sessions"])) for at, item in enumerate(months)]
    curve = lines("Sessions a month", [Series("sessions", points, filled=True)], lambda at: _month(months, at))
    yield section(
        "By month", curve, table(["month", "sessions"], [(item["month"], item["sessions"]) for item in months])
    )
    yield section(
        "By project", bars("Sessions of each project", [(p["project"], p["sessions"]) for p in data["projects"]])
    )
    yield section("Forecast", facts({key.replace("_", " "): value for key, value in forecast.items()}))


def _month(months: list[Mapping[str, Any]], at: float) -> str:
    return str(months[min(len(months) - 1, max(0, round(at)))]["month"])
