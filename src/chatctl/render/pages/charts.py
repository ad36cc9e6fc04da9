"""Charts as SVG: lines over time, bars by name. Each is drawn twice, for wide and for narrow screens, so that its
letters have one size on both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from chatctl.render.pages.html import Html, number

_COLOURS = ("var(--a)", "var(--b)", "var(--c)")
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 8, 24


@dataclass(frozen=True)
class Series:
    """A line: its name and its points (x, y), by x."""

    name: str
    points: Sequence[tuple[float, float]]
    filled: bool = False


@dataclass(frozen=True)
class _Frame:
    width: int
    height: int
    x_from: float
    x_to: float
    y_to: float

    def x(self, value: float) -> float:
        span = self.x_to - self.x_from or 1
        return _LEFT + (value - self.x_from) / span * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.height - _BOTTOM - value / self.y_to * (self.height - _TOP - _BOTTOM)


def lines(caption: str, series: Sequence[Series], x_label: Callable[[float], str]) -> Html:
    """Lines over one axis; nothing where no line has two points."""
    drawn = [item for item in series if len(item.points) > 1]
    if not drawn:
        return Html("")
    keys = "".join(
        f'<span class="key" style="background:{_COLOURS[at % 3]}"></span>{escape(item.name)}'
        for at, item in enumerate(drawn)
        if len(drawn) > 1
    )
    both = _twice(lambda width, height: _lines(drawn, x_label, width, height), escape(caption))
    return Html(f"<figure><figcaption>{escape(caption)}{keys}</figcaption>{both}</figure>")


def bars(caption: str, values: Sequence[tuple[str, float]], limit: int = 20) -> Html:
    """A bar for each name, the largest first; those beyond `limit` are summed up as one."""
    ordered = sorted(values, key=lambda item: -item[1])
    shown = ordered[:limit]
    if len(ordered) > limit:
        shown.append((f"{len(ordered) - limit} others", sum(value for _, value in ordered[limit:])))
    if not shown:
        return Html("")
    both = _twice(lambda width, height: _bars(shown, width), escape(caption))
    return Html(f"<figure><figcaption>{escape(caption)}</figcaption>{both}</figure>")


def spans(caption: str, values: Sequence[tuple[str, float, float]], x_label: Callable[[float], str]) -> Html:
    """When each of some things began and ended, as bars over one axis of time."""
    if not values:
        return Html("")
    both = _twice(lambda width, height: _spans(values, x_label, width), escape(caption))
    return Html(f"<figure><figcaption>{escape(caption)}</figcaption>{both}</figure>")


def _twice(draw: Callable[[int, int], str], label: str) -> str:
    both = (("wide", 860, 220), ("narrow", 350, 200))
    named = f'<svg role="img" aria-label="{label}" '
    return "".join(
        f'<div class="{name}">{draw(width, height).replace("<svg ", named, 1)}</div>' for name, width, height in both
    )


def _lines(series: Sequence[Series], x_label: Callable[[float], str], width: int, height: int) -> str:
    every = [point for item in series for point in item.points]
    top = nice(max((y for _, y in every), default=0))
    frame = _Frame(width, height, min(x for x, _ in every), max(x for x, _ in every), top)
    parts = [f'<svg viewBox="0 0 {width} {height}">', *_grid(frame, x_label)]
    for at, item in enumerate(series):
        colour = _COLOURS[at % 3]
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in item.points)
        if item.filled:
            first, last = frame.x(item.points[0][0]), frame.x(item.points[-1][0])
            floor = frame.y(0)
            around = f"{first:.1f},{floor:.1f} {path} {last:.1f},{floor:.1f}"
            parts.append(f'<polygon points="{around}" fill="{colour}" opacity=".15"/>')
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    return "".join([*parts, "</svg>"])


def _grid(frame: _Frame, x_label: Callable[[float], str]) -> list[str]:
    parts = []
    for step in range(5):
        value = frame.y_to * step / 4
        y = frame.y(value)
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{frame.width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>')
    steps = 4 if frame.width > 500 else 2
    for step in range(steps + 1):
        value = frame.x_from + (frame.x_to - frame.x_from) * step / steps
        anchor = "start" if step == 0 else "end" if step == steps else "middle"
        label = escape(x_label(value))
        parts.append(f'<text x="{frame.x(value):.1f}" y="{frame.height - 6}" text-anchor="{anchor}">{label}</text>')
    return parts


def _bars(values: Sequence[tuple[str, float]], width: int) -> str:
    height, names, top = 22 * len(values) + 4, 150 if width > 500 else 110, max(value for _, value in values) or 1
    parts = [f'<svg viewBox="0 0 {width} {height}">']
    for at, (name, value) in enumerate(values):
        y, long = 22 * at + 2, max(1.0, value / top * (width - names - 80))
        kept = name if len(name) <= names // 7 else name[: names // 7 - 1] + "…"
        parts.append(f'<text x="{names - 6}" y="{y + 13}" text-anchor="end">{escape(kept)}</text>')
        parts.append(f'<rect x="{names}" y="{y}" width="{long:.1f}" height="17" rx="2" fill="{_COLOURS[0]}"/>')
        parts.append(f'<text x="{names + long + 5:.1f}" y="{y + 13}">{escape(number(value))}</text>')
    return "".join([*parts, "</svg>"])


def _spans(values: Sequence[tuple[str, float, float]], x_label: Callable[[float], str], width: int) -> str:
    names, height = (150 if width > 500 else 100), 24 * len(values) + 22
    begin, end = min(start for _, start, _ in values), max(stop for _, _, stop in values)
    scale = (width - names - _RIGHT) / ((end - begin) or 1)
    parts = [f'<svg viewBox="0 0 {width} {height}">']
    for at, (name, start, stop) in enumerate(values):
        y, long = 24 * at + 2, max(2.0, (stop - start) * scale)
        left = min(names + (start - begin) * scale, width - _RIGHT - long)
        kept = name if len(name) <= names // 7 else name[: names // 7 - 1] + "…"
        parts.append(f'<text x="{names - 6}" y="{y + 14}" text-anchor="end">{escape(kept)}</text>')
        parts.append(f'<rect x="{left:.1f}" y="{y}" width="{long:.1f}" height="18" rx="2" fill="{_COLOURS[at % 3]}"/>')
    for value, anchor, x in ((begin, "start", names), (end, "end", width - _RIGHT)):
        parts.append(f'<text x="{x}" y="{height - 5}" text-anchor="{anchor}">{escape(x_label(value))}</text>')
    return "".join([*parts, "</svg>"])


def nice(value: float) -> float:
    """The next round number from `value` up: 1, 2 or 5 with noughts behind."""
    if value <= 0:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 5, 10) if step * magnitude >= value)


def short(value: float) -> str:
    """A number on an axis: 12k, 3.5M."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:.3g}"
