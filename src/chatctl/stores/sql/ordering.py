"""Lets a revision send the same statements in the same order each time that it runs.

SQLAlchemy keeps a table's indexes and constraints in sets, and Alembic goes through them as they come: CREATE INDEX
after CREATE TABLE, and whatever a batch operation makes anew, has another order in every process. A plan, and the
journal of a run that was killed, count on one order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.util import OrderedSet


@contextmanager
def steady_order() -> Iterator[None]:
    """While the block runs, each table that is made keeps its indexes by name and its constraints as they were made."""
    if sa.event.contains(sa.Table, "after_parent_attach", _order):
        yield
        return
    sa.event.listen(sa.Table, "after_parent_attach", _order)
    try:
        yield
    finally:
        sa.event.remove(sa.Table, "after_parent_attach", _order)


def _order(table: Any, metadata: object) -> None:
    # What is added from now on comes behind, in the order in which the revision adds it.
    table.indexes = OrderedSet(sorted(table.indexes, key=lambda index: str(index.name)))
    table.constraints = OrderedSet(sorted(table.constraints, key=lambda item: item._creation_order))
