"""One run as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from chatctl.render.blocks import label
from chatctl.render.pages.charts import Series, lines, spans
from chatctl.render.pages.html import Html, cell, facts, heading, page, paragraph, section, table, tiles

_FIGURES = ("phase", "batches", "rows", "seconds", "rows_per_second", "average_ms", "slowest_ms")
_KINDS = {"done": "good", "running": "", "paused": "warn", "partial": "warn", "interrupted": "warn"}


Rows = Sequence[Mapping[str, Any]]


def run_page(data: Mapping[str, Any], history: Mapping[str, Any], sizes: Rows = (), checks: Rows = ()) -> str:
    """The page of what `runs report` answers, of the run's history, of its tables' sizes and of what was verified."""
    return page(f"{data['command']} {data['run_id']}", _parts(data, history, sizes, checks))


def _parts(data: Mapping[str, Any], history: Mapping[str, Any], sizes: Rows, checks: Rows) -> Iterator[Html]:
    under = f"Run {data['run_id']} of {data['layout']}, by {data['by']} on {data['host']}, {cell(data['started'])}"
    yield heading(data["command"], state=data["status"], kind=_KINDS.get(data["status"], "bad"), under=under)
    if data["error"]:
        yield paragraph(data["error"], "bad")
    yield _figures(data)
    over_time = _charts(history["steps"], history["step_seconds"])
    yield section("Over time", *over_time, _lag(history["lag"]))
    yield section("Phases", _when(data["phases"]), _rows(data["phases"], *_FIGURES))
    yield section("Result", facts({label(key): value for key, value in data["totals"].items()}))
    named = [{**check, "check": label(check["name"])} for check in checks]
    yield section("Verification", _rows(named, "check", "ok", "expected", "actual"))
    yield section("Sizes", _rows(sizes, "table", "rows_before", "rows_now", "bytes_before", "bytes_now"))
    for key, value in history["details"].items():
        yield section(label(key).capitalize(), _detail(value))
    yield section("Statements", _rows(data["statements"], "revision", "sql", "state", "seconds"))
    slow = _rows(history["slowest_batches"], "phase", "range", "rows", "milliseconds", "committed")
    yield section("Slowest batches", slow)
    yield section("What was asked for", facts({label(key): value for key, value in data["options"].items()}))
    yield section("Plan", facts(history["plan"]))


def _when(phases: Rows) -> Html:
    """When each phase was at work, in seconds from the first one's beginning."""
    times = [
        (item["phase"], datetime.fromisoformat(item["began"]), datetime.fromisoformat(item["ended"])) for item in phases
    ]
    zero = min((began for _, began, _ in times), default=None)
    if zero is None:
        return Html("")
    bars = [(name, (began - zero).total_seconds(), (ended - zero).total_seconds()) for name, began, ended in times]
    return spans("When each was at work", bars, _clock)


def _figures(data: Mapping[str, Any]) -> Html:
    rows = sum(phase["rows"] for phase in data["phases"]) or None
    seconds = data["seconds"]
    return tiles(
        {
            "rows": rows,
            "rows a second": round(rows / seconds) if rows and seconds else None,
            "batches": sum(phase["batches"] for phase in data["phases"]) or None,
            "duration": _clock(seconds) if seconds is not None else None,
            "statements": len(data["statements"]) or None,
        }
    )


def _charts(steps: Rows, width: float | None) -> Iterator[Html]:
    if width is None or len(steps) < 2:
        return
    rate = [(step["at_seconds"], step["rows"] / width) for step in _without_gaps(steps, width)]
    yield lines("Rows a second", [Series("rows a second", rate, filled=True)], _clock)
    busy = [(step["at_seconds"], _at_work(step, width)) for step in _without_gaps(steps, width)]
    yield lines(
        "Workers at work; where the line is low, the run waited", [Series("at work", busy, filled=True)], _clock
    )
    mean = [(step["at_seconds"], step["mean_milliseconds"]) for step in steps]
    longest = [(step["at_seconds"], step["longest_milliseconds"]) for step in steps]
    yield lines("Milliseconds a batch", [Series("mean", mean), Series("longest", longest)], _clock)
    done, total = [], 0
    for step in steps:
        total += step["rows"]
        done.append((step["at_seconds"], float(total)))
    yield lines("Rows done", [Series("rows", done, filled=True)], _clock)


def _lag(measured: Rows) -> Html:
    """What the throttle has measured: at most, since what isn't there yet is as late as the last that is."""
    points = [(step["at_seconds"], step["seconds"]) for step in measured]
    return lines("Seconds that the replica was behind, at most", [Series("behind", points, filled=True)], _clock)


def _at_work(step: Mapping[str, Any], width: float) -> float:
    """How many batches were being worked on at once, on average: less than one where the run was throttled or held."""
    worked: float = step["batches"] * step["mean_milliseconds"] / 1000
    return worked / width


def _without_gaps(steps: Rows, width: float) -> Iterator[Mapping[str, Any]]:
    """The steps, and those between them in which nothing was committed: a throttle's pause is a rate of nought."""
    expected = steps[0]["at_seconds"]
    for step in steps:
        while expected < step["at_seconds"] - width / 2:
            yield {"at_seconds": expected, "rows": 0, "batches": 0, "mean_milliseconds": 0}
            expected += width
        yield step
        expected = step["at_seconds"] + width


def _detail(value: Any) -> Html:
    if isinstance(value, Mapping):
        return facts(value)
    if all(isinstance(item, Mapping) for item in value):
        return _rows(value, *dict.fromkeys(key for item in value for key in item))
    return paragraph(", ".join(str(item) for item in value))


def _rows(items: Rows, *keys: str) -> Html:
    return table([label(key) for key in keys], [[item.get(key) for key in keys] for item in items])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02.0f} s" if minutes else f"{rest:.3g} s"
