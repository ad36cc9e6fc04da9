"""The frame of a page, and its parts that are no charts. Every text that goes in is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from chatctl.render.cells import for_people

#: Nothing may be fetched or run, whatever a text in the page says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)")

#: A text that is longer may be broken anywhere.
_LONG = 24

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0; --ground: #fff; --tile: #f6f8fa;
  --a: #0969da; --b: #bc4c00; --c: #1a7f37; --bad: #cf222e; --warn: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --ground: #0d1117;
  --tile: #151b23; --a: #4493f8; --b: #f0883e; --c: #3fb950; --bad: #f85149; --warn: #d29922; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
p { margin: .25rem 0 .75rem; } .soft { color: var(--soft); font-size: .875rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .5rem; margin: 1rem 0; }
.tile { background: var(--tile); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .7rem; }
.tile b { display: block; font-size: 1.2rem; font-weight: 600; overflow-wrap: anywhere; }
.tile span { color: var(--soft); font-size: .8rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
td { white-space: pre-line; } td.long { min-width: 9rem; }
.facts td, td.long { overflow-wrap: anywhere; } table.facts th { width: 12rem; max-width: 40%; }
.state { display: inline-block; border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem;
  font-size: .85rem; }
.good { color: var(--c); } .bad { color: var(--bad); } .warn { color: var(--warn); }
figure { margin: 0 0 1rem; } figcaption { color: var(--soft); font-size: .875rem; margin-bottom: .25rem; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } .narrow { display: none; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem; vertical-align: -.05rem;
  margin: 0 .3rem 0 .8rem; }
@media (max-width: 40rem) { .wide { display: none; } .narrow { display: block; } body { padding: .75rem; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --ground: #fff; --tile: #fff; }
  body { max-width: none; font-size: 10pt; } h2, figure, tr { break-inside: avoid; } h2 { break-after: avoid; } }
"""


@dataclass(frozen=True)
class Html:
    """A piece of a page that is markup already."""

    text: str

    def __str__(self) -> str:
        return self.text


def page(title: str, parts: Iterable[Html]) -> str:
    """The whole page."""
    body = "\n".join(str(part) for part in parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="robots" content="noindex">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def heading(title: str, *, state: str | None = None, kind: str = "", under: str = "") -> Html:
    """The page's heading, a word on how it came out (`kind` good, bad or warn), and a line below."""
    badge = f' <span class="state {escape(kind)}">{escape(state)}</span>' if state else ""
    return Html(f'<h1>{escape(title)}{badge}</h1>\n<p class="soft">{escape(under)}</p>')


def section(title: str, *parts: Html) -> Html:
    """A heading and what stands below it; nothing where there is nothing."""
    inside = "\n".join(str(part) for part in parts if part.text)
    return Html(f"<h2>{escape(title)}</h2>\n{inside}" if inside else "")


def tiles(values: Mapping[str, Any]) -> Html:
    """Figures that are looked at first, with their labels; those that nobody knows are left out."""
    known = {label: value for label, value in values.items() if value is not None}
    inside = "".join(
        f'<div class="tile"><b>{escape(number(value))}</b><span>{escape(label)}</span></div>'
        for label, value in known.items()
    )
    return Html(f'<div class="tiles">{inside}</div>')


def facts(values: Mapping[str, Any]) -> Html:
    """Labels with values."""
    lines = "".join(
        f"<tr><th>{escape(str(label))}</th><td>{escape(cell(value))}</td></tr>" for label, value in values.items()
    )
    return Html(f'<div class="scroll"><table class="facts">{lines}</table></div>' if lines else "")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Html:
    """A table; numbers stand to the right."""
    if not rows:
        return Html("")
    known = [[row[at] for row in rows if row[at] is not None] for at in range(len(columns))]
    numeric = [all(isinstance(value, int | float) for value in values) and bool(values) for values in known]
    long = [any(len(str(row[at])) > _LONG for row in rows) for at in range(len(columns))]
    classes = ["n" if right else "long" if wide else "" for right, wide in zip(numeric, long, strict=True)]
    mark = [f'<{{0}} class="{name}">' if name else "<{0}>" for name in classes]
    head = "".join(f"{mark[at].format('th')}{escape(name)}</th>" for at, name in enumerate(columns))
    body = "".join(
        "<tr>" + "".join(f"{mark[at].format('td')}{escape(cell(value))}</td>" for at, value in enumerate(row)) + "</tr>"
        for row in rows
    )
    return Html(f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def paragraph(text: str, kind: str = "") -> Html:
    """A sentence."""
    return Html(f'<p class="{escape(kind)}">{escape(text)}</p>')


def cell(value: Any) -> str:
    """What stands in a table: texts on as many lines as they have, instants to the second, numbers as `number` says."""
    if isinstance(value, str):
        instant = _INSTANT.fullmatch(value)
        if instant:
            return f"{instant[1]} {instant[2]} UTC"
        return "\n".join(for_people(line) for line in value.expandtabs(2).splitlines())
    return number(value)


def number(value: Any) -> str:
    """A number with its thousands parted; anything else as tables show it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return for_people(value)
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:,.4g}"
