"""Steps along one key column of a table: how far the next batch goes, and how the keys are shared out to workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.dialects import Dialect

#: Into how many ranges keys are shared out at most, so that workers that come later still find some.
SLICES = 16
#: A range of fewer rows isn't worth its own claim.
_ROWS_A_SLICE = 50_000


@dataclass(frozen=True)
class Step:
    """One step: the rows it covers, where it ends, and what a statement says to stay within it."""

    rows: int
    upper: Any
    within: sa.ColumnElement[bool]
    last: bool


class KeyRange:
    """The rows of a table that fulfil `conditions`, in the order of the key `column`."""

    def __init__(self, column: sa.Column[Any], conditions: Sequence[sa.ColumnElement[bool]] = ()) -> None:
        self.column = column
        self._conditions = conditions

    def step(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> Step:
        """The next `size` rows behind `position`, within `bounds`."""
        after = position.get("after", bounds["after"])
        inside = between(self.column, after, bounds["upto"])
        keys = sa.select(self.column.label("k")).where(*inside, *self._conditions).order_by(self.column).limit(size)
        taken = keys.subquery()
        rows, upper = connection.execute(sa.select(sa.func.count(), sa.func.max(taken.c.k))).one()
        upper = after if rows == 0 else upper
        return Step(rows, upper, sa.and_(sa.true(), *between(self.column, after, upper)), rows < size)

    def slices(self, connection: sa.Connection, parts: int) -> list[Position]:
        """About equal ranges of keys that cover all there are and all that may come."""
        cuts = self._cuts(connection, parts)
        edges = [None, *cuts, None]
        return [{"after": low, "upto": high} for low, high in pairwise(edges)]

    def _cuts(self, connection: sa.Connection, parts: int) -> list[Any]:
        low, high = connection.execute(sa.select(sa.func.min(self.column), sa.func.max(self.column))).one()
        if low is None or low == high:
            return []
        guesses = evenly(low, high, parts)
        found = {
            connection.scalar(sa.select(sa.func.min(self.column)).where(self.column >= guess)) for guess in guesses
        }
        # The server's own order decides: it may not be that of code points.
        chosen = sa.select(self.column).where(self.column.in_(sorted(found - {None}))).order_by(self.column)
        return list(connection.scalars(chosen))


def slices_of(connection: sa.Connection, dialect: Dialect, table: sa.Table, rows_a_slice: int = _ROWS_A_SLICE) -> int:
    """Into how many ranges the rows of `table` are worth being shared out: one where only one can write at a time."""
    if dialect.in_process:
        return 1
    size = dialect.table_sizes(connection, [table.name], table.schema).get(table.name)
    return max(4, min(SLICES, size.rows // rows_a_slice if size else 1))


def between(column: sa.Column[Any], after: Any, upto: Any) -> list[sa.ColumnElement[bool]]:
    """Behind `after` and not behind `upto`, either of which may be None for open."""
    conditions: list[sa.ColumnElement[bool]] = []
    if after is not None:
        conditions.append(column > after)
    if upto is not None:
        conditions.append(column <= upto)
    return conditions


def whole() -> Position:
    """The one range that holds every key."""
    return {"after": None, "upto": None}


def evenly(low: Any, high: Any, parts: int) -> list[Any]:
    """`parts - 1` values that share out the space from `low` to `high`; none for what can't be counted."""
    if isinstance(low, int) and isinstance(high, int):
        return [low + (high - low) * part // parts for part in range(1, parts)]
    if not isinstance(low, str) or not isinstance(high, str):
        return []
    common = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    alphabet = sorted({*low, *high})
    start, end = (_number(text[common : common + 6], alphabet) for text in (low, high))
    between_them = [start + (end - start) * part // parts for part in range(1, parts)]
    return [low[:common] + _text(number, alphabet) for number in between_them]


def _number(text: str, alphabet: list[str]) -> int:
    number = 0
    for place in range(6):
        number = number * len(alphabet) + (alphabet.index(text[place]) if place < len(text) else 0)
    return number


def _text(number: int, alphabet: list[str]) -> str:
    digits = []
    for _ in range(6):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))
