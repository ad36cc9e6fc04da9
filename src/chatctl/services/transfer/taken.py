"""What a format's reader hands out at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatctl.services.transfer.rejects import Reject

Rows = list[tuple[Any, ...]]


def widened(rows: Rows, columns: Sequence[str], wider: Sequence[str]) -> Rows:
    """`rows` of `columns` as rows of the columns `wider`, empty where `columns` hasn't them."""
    places = [columns.index(key) if key in columns else None for key in wider]
    return [tuple([None if place is None else row[place] for place in places]) for row in rows]


@dataclass(frozen=True)
class Taken:
    """Rows that fit (tuples in the order of `columns`), the line (from 1) that each begins on, and the records that
    don't fit.
    """

    columns: tuple[str, ...]
    rows: Rows
    lines: Sequence[int]
    rejects: list[Reject]
