"""What chatctl's own tables hold of a user: accounts of the API, what runs keep to be undone, what they were asked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.inspection import OWN_PREFIX
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.purge.conversations import typed

_USER, _USERS = "user_id", "users"


class OwnTraces:
    """The tables beside `journal`, as the database of `connection` has them: each run may have some of its own."""

    def __init__(self, journal: Journal, connection: sa.Connection) -> None:
        self._runs, self._ranges = journal.tables.runs, journal.tables.ranges
        self._meta = sa.MetaData(schema=journal.schema)
        inspector = sa.inspect(connection)
        self._tables = [
            sa.Table(name, self._meta, *(sa.Column(column["name"], column["type"]) for column in columns))
            for (_, name), columns in inspector.get_multi_columns(schema=journal.schema).items()
            if name.startswith(OWN_PREFIX)
        ]

    def erase(self, connection: sa.Connection, user: str) -> dict[str, int]:
        """Deletes rows about the user, and takes the name out of what runs were asked and answered; rows by table.

        Positions go too, since each bears the key of some conversation: what is unfinished begins its walk anew.
        """
        touched: dict[str, int] = {}
        for table, mine in self._of(user):
            touched[table.name] = connection.execute(table.delete().where(mine)).rowcount
        touched[self._runs.name] = self._rewrite_runs(connection, user)
        self._forget_places(connection)
        return {name: count for name, count in touched.items() if count}

    def left(self, connection: sa.Connection, user: str) -> int:
        """How many rows are still about the user."""
        counted = (sa.select(sa.func.count()).select_from(table).where(mine) for table, mine in self._of(user))
        return sum(connection.scalar(query) or 0 for query in counted)

    def _of(self, user: str) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
        for table in self._tables:
            if _USER in table.c:
                yield table, table.c[_USER] == typed(table.c[_USER], user)
            elif {"entity", "value"} <= set(table.c.keys()):
                yield table, sa.and_(table.c.entity == _USERS, table.c.value == user)

    def _rewrite_runs(self, connection: sa.Connection, user: str) -> int:
        column, pattern = self._runs.c, _quoted(user)
        digest = f"erased:{hashlib.sha256(user.encode()).hexdigest()}"
        rewritten = 0
        query = sa.select(column.id, column.options, column.totals, column.error)
        for row in connection.execute(query).all():
            values = {
                "options": _replaced(row.options, user, digest),
                "totals": _replaced(row.totals, user, digest),
                "error": pattern.sub("erased", row.error) if row.error else row.error,
            }
            if values != {"options": row.options, "totals": row.totals, "error": row.error}:
                connection.execute(self._runs.update().where(column.id == row.id).values(**values))
                rewritten += 1
        return rewritten

    def _forget_places(self, connection: sa.Connection) -> None:
        column = self._ranges.c
        purges = sa.select(self._runs.c.id).where(self._runs.c.kind.like("purge%"))
        query = sa.select(column.run_id, column.number, column.position)
        for row in connection.execute(query.where(column.run_id.in_(purges), column.position.like('%"place"%'))).all():
            position = json.loads(row.position)
            position["at"].pop("place", None)
            own = sa.and_(column.run_id == row.run_id, column.number == row.number)
            connection.execute(self._ranges.update().where(own).values(position=json.dumps(position)))


def _replaced(text: str, user: str, digest: str) -> str:
    """JSON with `digest` in the place of every value that is the user's ID; the same text where there is none."""
    found = False

    def walk(value: Any) -> Any:
        nonlocal found
        if isinstance(value, dict):
            return {walk(key): walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if value == user:
            found = True
            return digest
        return value

    rewritten = walk(json.loads(text))
    return json.dumps(rewritten) if found else text


def _quoted(user: str) -> re.Pattern[str]:
    """The ID as servers quote values in their errors: a short one may be a word, too."""
    return re.compile(rf"(?<=['\"(=]){re.escape(user)}(?=['\")])")
