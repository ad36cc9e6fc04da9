"""What a page for people is made of: facts, tables, paragraphs, code.

A view returns blocks; `chatctl.render.table` draws them. Nothing here knows how they look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """Labels with one value each."""

    pairs: tuple[tuple[str, Any], ...]
    title: str | None = None


@dataclass(frozen=True)
class Rows:
    """A table. Where it has no rows, `empty` stands in its place (nothing, if that is None)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    title: str | None = None
    empty: str | None = "none"


@dataclass(frozen=True)
class Paragraph:
    """A sentence or more."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text to be copied as it is, such as SQL: never wrapped."""

    text: str


Block = Facts | Rows | Paragraph | Code


def facts(values: Mapping[str, Any], *keys: str, title: str | None = None) -> Facts:
    """The values at `keys` (all of them where none are named), labelled by their keys."""
    return Facts(tuple((label(key), values.get(key)) for key in keys or values), title)


def rows(items: Iterable[Mapping[str, Any]], *keys: str, title: str | None = None, empty: str | None = "none") -> Rows:
    """A table of `items` with the columns `keys`, or with every key that occurs, in the order of first sight."""
    listed = list(items)
    columns: Sequence[str] = keys or list(dict.fromkeys(key for item in listed for key in item))
    return Rows(
        tuple(label(key) for key in columns),
        tuple(tuple(item.get(key) for key in columns) for item in listed),
        title,
        empty,
    )


def label(key: str) -> str:
    """`run_id` as people read it: `run id`."""
    return key.replace("_", " ")
