"""Leads the connections that an application makes by itself into a scratch copy, wherever it took its URL from.

Most env.py files take `sqlalchemy.url` from Alembic's configuration, which chatctl sets; others have a URL of their
own, from a variable or the application's settings, or keep an engine with a pool elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from chatctl.stores.sql.dialects.registry import place_of, place_of_arguments

_OWN = "chatctl_own"


def mark_own(engine: sa.Engine) -> None:
    """The connections of this engine are chatctl's: they stay where they are."""
    sa.event.listen(engine, "connect", lambda connection, record: record.info.update({_OWN: True}))


@contextmanager
def leading_into(scratch: sa.URL, real: sa.URL, spared: sa.Engine) -> Iterator[None]:
    """While the block runs, whoever connects to `real` is led to `scratch`, but for the engine `spared`.

    A pool gives none of its older connections out meanwhile, and none of these afterwards.
    """
    made: set[ConnectionPoolEntry] = set()

    def redirect(
        dialect: sa.Dialect, record: ConnectionPoolEntry, positional: list[Any], named: dict[str, Any]
    ) -> None:
        made.add(record)
        if dialect is spared.dialect or place_of_arguments(dialect.name, positional, named) != place_of(real):
            return
        arguments, options = dialect.create_connect_args(scratch)
        positional[:] = arguments
        named.update(options)

    def refuse_older(connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
        if record not in made and _OWN not in record.info:
            # The pool connects anew then.
            raise sa.exc.DisconnectionError("it was opened before the scratch copy was made")

    sa.event.listen(sa.Engine, "do_connect", redirect)
    sa.event.listen(Pool, "checkout", refuse_older)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "do_connect", redirect)
        sa.event.remove(Pool, "checkout", refuse_older)
        for record in made:
            if record.dbapi_connection is not None and _OWN not in record.info:
                record.invalidate()
