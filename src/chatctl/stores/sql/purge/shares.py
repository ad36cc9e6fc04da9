"""The stretches of the clock that several workers take, one after the other, of the same purge."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.purge.conversations import Conversations
from chatctl.stores.sql.purge.records import decoded, encoded

#: How many stretches a worker gets on average, so that none waits long for another at the end.
_EACH = 4
#: Archives of each stretch are numbered from a number of its own on; those of sessions begin at the next power of ten.
_NUMBERS = 100_000
_MOST = 9


def shares(connection: sa.Connection, on: Conversations, where: sa.ColumnElement[bool], workers: int) -> list[Position]:
    """Stretches of equal length, from the first clock to the last of what `where` selects; for one worker, one.

    The first has no beginning and the last no end, so that together they cover whatever comes later, too.
    """
    bare = sa.type_coerce(on.clock, sa.types.NullType())
    ends: list[Any] = list(connection.execute(sa.select(sa.func.min(bare), sa.func.max(bare)).where(where)).one())
    first, last = ends
    parts = min(_MOST, workers * _EACH)
    if workers == 1 or first is None or first == last:
        return [{}]
    cuts = [_between(first, last, part, parts) for part in range(1, parts)]
    bounds = [None, *(encoded(cut) for cut in cuts), None]
    return [{"from": bounds[part], "before": bounds[part + 1], "number": part * _NUMBERS} for part in range(parts)]


def inside(on: Conversations, bounds: Position) -> sa.ColumnElement[bool]:
    """Conversations whose clock lies in the stretch `bounds`."""
    bare = sa.type_coerce(on.clock, sa.types.NullType())
    start, end = bounds.get("from"), bounds.get("before")
    conditions = [bare >= decoded(start)] if start is not None else []
    conditions += [bare < decoded(end)] if end is not None else []
    return sa.and_(sa.true(), *conditions)


def _between(first: Any, last: Any, part: int, parts: int) -> Any:
    # Integers and instants both: a whole number of steps behind the first.
    return first + (last - first) * part // parts
