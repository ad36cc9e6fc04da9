"""Puts rows into a table whatever some of them are: the rest are in, repeats are counted, refused ones told apart.

A batch is tried whole first, by the engine's fastest way. Only where the database refuses it, its repeats are looked
for, and what is refused for another reason is halved until the single row is found. The database alone decides what
is the same key: where its collation calls keys the same that Python doesn't, halving finds them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chatctl.errors import RepeatedKeyError, RowRefusedError
from chatctl.stores.sql.database import Database

Row = tuple[Any, ...]

#: How many keys are looked up at once.
_KEYS_A_QUERY = 1_000


@dataclass(frozen=True)
class Refusal:
    """A row that the database refused: its place among those that were given, and the database's own reason."""

    place: int
    reason: str


@dataclass
class Loaded:
    """What became of some rows."""

    imported: int = 0
    repeated: int = 0
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class _Part:
    """Rows for the columns `keys`, with the place of each."""

    keys: tuple[str, ...]
    places: Sequence[int]
    rows: Sequence[Row]

    def chosen(self, indexes: Sequence[int]) -> _Part:
        return _Part(self.keys, [self.places[at] for at in indexes], [self.rows[at] for at in indexes])

    def halves(self) -> tuple[_Part, _Part]:
        middle = len(self.rows) // 2
        first = _Part(self.keys, self.places[:middle], self.rows[:middle])
        return first, _Part(self.keys, self.places[middle:], self.rows[middle:])


class RowLoader:
    """Loads rows into `table` of `database`."""

    def __init__(self, database: Database, table: sa.Table) -> None:
        self._database = database
        self._table = table
        self._primary = list(table.primary_key)
        self._automatic = next((column.key for column in self._primary if column.autoincrement is True), None)
        #: Set by the first repeat: where there was one, looking first is cheaper than being refused.
        self._looks_first = False

    def load(self, connection: sa.Connection, columns: tuple[str, ...], rows: Sequence[Row]) -> Loaded:
        """Loads `rows` (tuples in the order of `columns`, keys of the table) in the open transaction.

        The first of those that share a primary key stays.
        """
        loaded = Loaded()
        for part in self._parts(columns, rows):
            self._insert(connection, self._fresh(connection, part, loaded) if self._looks_first else part, loaded)
        return loaded

    def fresh(self, connection: sa.Connection, columns: tuple[str, ...], rows: Sequence[Row]) -> int:
        """How many of `rows` are neither in the table nor repeated among themselves."""
        repeats = Loaded()
        return sum(len(self._fresh(connection, part, repeats).rows) for part in self._parts(columns, rows))

    def _parts(self, columns: tuple[str, ...], rows: Sequence[Row]) -> list[_Part]:
        """`rows` apart by whether the server is to number them: then the column must not be named at all."""
        whole = _Part(columns, range(len(rows)), rows)
        if self._automatic not in columns:
            return [whole]
        at = columns.index(self._automatic)
        if not any(row[at] is None for row in rows):
            return [whole]
        numbered = whole.chosen([place for place, row in enumerate(rows) if row[at] is not None])
        others = [(place, row) for place, row in enumerate(rows) if row[at] is None]
        unnumbered = _Part(
            (*columns[:at], *columns[at + 1 :]),
            [place for place, _ in others],
            [(*row[:at], *row[at + 1 :]) for _, row in others],
        )
        return [numbered, unnumbered]

    def _insert(self, connection: sa.Connection, part: _Part, loaded: Loaded) -> None:
        if not part.rows:
            return
        try:
            with self._database.savepoint(connection):
                self._database.dialect.bulk_insert(connection, self._table, part.keys, part.rows)
        except RepeatedKeyError as problem:
            self._looks_first = True
            fresh = self._fresh(connection, part, loaded)
            if len(fresh.rows) < len(part.rows):
                self._insert(connection, fresh, loaded)
            else:
                self._divide(connection, part, loaded, problem)
        except RowRefusedError as problem:
            self._divide(connection, part, loaded, problem)
        else:
            loaded.imported += len(part.rows)

    def _divide(self, connection: sa.Connection, part: _Part, loaded: Loaded, problem: RowRefusedError) -> None:
        if len(part.rows) > 1:
            for half in part.halves():
                self._insert(connection, half, loaded)
        elif isinstance(problem, RepeatedKeyError) and self._existing(connection, self._keys(part)):
            # Asked for by name the row is there, though under a key that reads otherwise.
            loaded.repeated += 1
        else:
            loaded.refused.append(Refusal(part.places[0], problem.message))

    def _fresh(self, connection: sa.Connection, part: _Part, loaded: Loaded) -> _Part:
        """The rows of `part` whose keys are new; the others are counted as repeated."""
        keys = self._keys(part)
        if not keys:
            return part
        seen = self._existing(connection, keys)
        new: list[int] = []
        for at, key in enumerate(keys):
            if key not in seen:
                seen.add(key)
                new.append(at)
        loaded.repeated += len(keys) - len(new)
        return part if len(new) == len(keys) else part.chosen(new)

    def _keys(self, part: _Part) -> list[Row]:
        """The rows' primary keys, as the driver takes them; none where the server makes them."""
        names = [column.key for column in self._primary]
        if not names or not set(names) <= set(part.keys):
            return []
        places = [part.keys.index(name) for name in names]
        keys = [tuple([row[place] for place in places]) for row in part.rows]
        return list(self._database.dialect.converted(self._table, names, keys))

    def _existing(self, connection: sa.Connection, keys: Sequence[Row]) -> set[Row]:
        """Those of `keys` that are in the table."""
        # Without types: the live column may be a UUID where the layout says text, and the server reads either.
        columns: list[sa.ColumnClause[Any]] = [sa.column(column.name) for column in self._primary]
        wanted = sa.bindparam("wanted", expanding=True, type_=sa.types.NullType() if len(columns) == 1 else None)
        source = sa.table(self._table.name, *columns, schema=self._table.schema)
        chosen = columns[0].in_(wanted) if len(columns) == 1 else sa.tuple_(*columns).in_(wanted)
        query = sa.select(*columns).select_from(source).where(chosen)
        found: set[Row] = set()
        for start in range(0, len(keys), _KEYS_A_QUERY):
            asked = keys[start : start + _KEYS_A_QUERY]
            values = [key[0] for key in asked] if len(columns) == 1 else list(asked)
            found.update(tuple(map(_plain, row)) for row in connection.execute(query, {"wanted": values}))
        return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
