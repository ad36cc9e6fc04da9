"""How `chatctl counters` answers people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatctl.render.blocks import Block, Paragraph, Rows, facts, rows
from chatctl.render.views import Data, view

_COUNTERS = ("key", "value", "ttl", "max_issued_redis", "max_issued_sql", "state")
_FINDINGS = ("severity", "rule", "where", "message", "fix")
_BAR_WIDTH = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


@view("counters list", principal="counters", columns=("key", "scope", "value", "ttl"))
def list_counters(data: Data) -> Iterator[Block]:
    """The counters."""
    yield rows(data["counters"], "key", "value", "ttl", empty="There is no counter.")


@view("counters check", principal="counters", columns=("key", "scope", *_COUNTERS[1:]))
def check(data: Data) -> Iterator[Block]:
    """The counters, then the sessions that two users hold, then everything found."""
    yield rows(data["counters"], *_COUNTERS, empty="There is no counter.")
    for collision in data["collisions"]:
        yield Paragraph(f"{collision['id']} was issued twice; its record is {_owner(collision)}:")
        yield rows(collision["users"], "user", "has_record", "messages", "first_at", "last_at")
    if data["findings"]:
        yield rows(data["findings"], *_FINDINGS, title="Findings")
    else:
        yield Paragraph("No number can be issued twice.")


def _owner(collision: Mapping[str, Any]) -> str:
    if collision["owner"] is None:
        return "gone"
    return f"'{collision['owner']}'s, of {collision['created_at']}"


@view("counters repair", principal="raised", columns=("key", "from", "to"))
def repair(data: Data) -> Iterator[Block]:
    """What was raised, or would be."""
    yield rows(data["raised"], "key", "from", "to", empty="No counter had to be raised.")
    if data["made_lasting"]:
        yield Paragraph(f"Made to last: {', '.join(data['made_lasting'])}")
    if data["dry_run"] and (data["raised"] or data["made_lasting"]):
        yield Paragraph("Nothing was changed.")


@view("counters growth", principal="months", columns=("month", "sessions"))
def growth(data: Data) -> Iterator[Block]:
    """A bar for each month and project, then the forecast."""
    yield _bars(data["months"], "month", "There is no general session yet.")
    yield _bars(data["projects"], "project", "There is no project session yet.")
    yield facts(data["forecast"], title="Forecast")


def _bars(entries: Sequence[Mapping[str, Any]], name: str, empty: str) -> Rows:
    most = max((entry["sessions"] for entry in entries), default=0)
    return Rows(
        (name, "sessions", ""),
        tuple((entry[name], entry["sessions"], _bar(entry["sessions"], most)) for entry in entries),
        title=f"By {name}",
        empty=empty,
    )


def _bar(value: int, most: int) -> str:
    eighths = round(value * _BAR_WIDTH * 8 / most) if most else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
