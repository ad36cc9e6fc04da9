"""Deleting rows whose children are gone, on servers that would look for them once more, row by row.

MySQL and MariaDB search for the children of each deleted row, and walk over all that the same transaction has just
deleted. That search may be left out where nothing but those children can refer to the row. InnoDB's own list of foreign
keys tells, since the standard's views leave out what the account has no right to.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

#: A child's column and the parent's that it refers to.
Joins = Collection[tuple[sa.Column[object], sa.Column[object]]]

_PLAIN = re.compile(r"[A-Za-z0-9_]+")


@contextmanager
def spared_search(connection: sa.Connection, view: str, parent: sa.Table, joins: Joins) -> Iterator[None]:
    """Leaves the search out inside the block, where `view` (with `view`_COLS) tells that nothing can be left behind."""
    if not _known(connection, view, parent, joins):
        yield
        return
    connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
    try:
        yield
    finally:
        _check_again(connection)


def _check_again(connection: sa.Connection) -> None:
    try:
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")
    except sa.exc.SQLAlchemyError:
        # Nobody shall get it back from the pool without its checks.
        connection.invalidate()


def _known(connection: sa.Connection, view: str, parent: sa.Table, joins: Joins) -> bool:
    """Whether every foreign key to `parent` is one of `joins`; False where that can't be told."""
    database = parent.schema or connection.scalar(sa.select(sa.func.database()))
    names = [str(database), parent.name, *(own.table.name for own, _ in joins)]
    # The list writes other names in a way of its own.
    if not all(_PLAIN.fullmatch(name) for name in names):
        return False
    listed = sa.text(
        "SELECT LOWER(f.FOR_NAME), LOWER(c.FOR_COL_NAME), LOWER(c.REF_COL_NAME)"
        f" FROM information_schema.{view} f JOIN information_schema.{view}_COLS c ON c.ID = f.ID"
        " WHERE LOWER(f.REF_NAME) = :parent"
    )
    try:
        found = {tuple(row) for row in connection.execute(listed, {"parent": f"{database}/{parent.name}".lower()})}
    except sa.exc.DBAPIError:
        return False
    expected = {(f"{database}/{own.table.name}".lower(), own.name.lower(), its.name.lower()) for own, its in joins}
    return found <= expected
