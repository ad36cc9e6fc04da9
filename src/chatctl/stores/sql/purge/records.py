"""Rows as lines of an archive, so that they come back exactly as they were.

An archive begins with a line that says what it holds; then each line is `[part, conversation, values]`, parents
before their children. `conversation` counts from 0 and tells whose row a child's is. Values are what the driver
gives for the column as it is, or its text where the dialect says so.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from chatctl.domain.sessions import StoredSession
from chatctl.errors import IntegrityError
from chatctl.stores.sql.dialects import Dialect
from chatctl.stores.sql.purge.conversations import Conversations, Keys, Part, matching

FORMAT = 1
#: The part that holds Redis sessions rather than rows.
SESSIONS = "redis"

_FETCH = 2_000


@dataclass(frozen=True)
class Header:
    """An archive's first line: whose rows it holds. `tables` is part → (table, its columns)."""

    layout: str
    run_id: str
    number: int
    tables: Mapping[str, tuple[str, tuple[str, ...]]]

    @property
    def holds_sessions(self) -> bool:
        """Whether the archive holds sessions of Redis rather than rows."""
        return not self.tables

    def line(self) -> str:
        """The header as a line."""
        tables = {key: [table, list(columns)] for key, (table, columns) in self.tables.items()}
        content = {"layout": self.layout, "run": self.run_id, "number": self.number, "tables": tables}
        return json.dumps({"chatctl_archive": FORMAT, **content}, ensure_ascii=False)

    @classmethod
    def read(cls, line: str) -> Header:
        """The header in `line`; raises IntegrityError where it is none that this chatctl knows."""
        content = decoded(line)
        if not isinstance(content, dict) or content.get("chatctl_archive") != FORMAT:
            raise IntegrityError("This is no archive that this chatctl can read.")
        tables = {key: (table, tuple(columns)) for key, (table, columns) in content["tables"].items()}
        return cls(content["layout"], content["run"], content["number"], tables)


@dataclass(frozen=True)
class Record:
    """One row of an archive."""

    part: str
    conversation: int
    values: list[Any]

    def line(self) -> str:
        """The row as a line; a session as ASCII: what Redis holds may be no UTF-8, and comes back to the byte."""
        return encoded([self.part, self.conversation, self.values], as_ascii=self.part == SESSIONS)

    @property
    def session(self) -> StoredSession:
        """The session that an archive of sessions holds here."""
        session, text, history = self.values
        return StoredSession(session, text, tuple(history))

    @classmethod
    def of_session(cls, conversation: int, stored: StoredSession) -> Record:
        """A session as a record."""
        return cls(SESSIONS, conversation, [stored.id, stored.record, list(stored.history)])

    @classmethod
    def read(cls, line: str) -> Record:
        """The row in `line`; raises IntegrityError."""
        content = decoded(line)
        if not isinstance(content, list) or len(content) != 3:
            raise IntegrityError("A line of this archive is no row.")
        return cls(*content)


class RowReader:
    """Reads whole rows of conversations and of what goes with them, verbatim, in constant memory."""

    def __init__(self, conversations: Conversations, dialect: Dialect) -> None:
        self._on = conversations
        self._dialect = dialect

    def tables(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """What an archive's header says of the tables."""
        return {part.key: (part.table.name, part.columns) for part in (self._on.what, *self._on.children)}

    def records(self, connection: sa.Connection, keys: Keys) -> Iterator[Record]:
        """The conversations with these primary keys, then their children, table by table."""
        ordinals: dict[str, dict[tuple[Any, ...], int]] = {}
        what = self._on.what
        for number, values in enumerate(self._rows(connection, what, matching(what.primary_key, keys))):
            self._remember(what, values, number, ordinals)
            yield Record(what.key, number, values)
        for child in self._on.children:
            for values in self._rows(connection, child, belonging(self._on, connection, child, keys)):
                own = self._values(child, values, [own for own, _ in child.join])
                number = _found(ordinals.get(child.key, {}), own, child.key)
                self._remember(child, values, number, ordinals)
                yield Record(child.key, number, values)

    def _rows(self, connection: sa.Connection, part: Part, where: sa.ColumnElement[bool]) -> Iterator[list[Any]]:
        query = sa.select(*verbatim_columns(connection, self._dialect, part)).select_from(part.table).where(where)
        for row in connection.execute(query, execution_options={"yield_per": _FETCH}):
            yield list(row)

    def _remember(
        self, part: Part, values: Sequence[Any], number: int, ordinals: dict[str, dict[tuple[Any, ...], int]]
    ) -> None:
        for child in self._on.children:
            if child.parent == part.key:
                key = self._values(part, values, [its for _, its in child.join])
                theirs = ordinals.setdefault(child.key, {})
                theirs[key] = number
                # Where two differ in case alone the exact one counts.
                theirs.setdefault(folded(key), number)

    def _values(self, part: Part, values: Sequence[Any], keys: Sequence[str]) -> tuple[Any, ...]:
        return tuple(values[part.columns.index(part.table.c[key].name)] for key in keys)


def belonging(on: Conversations, connection: sa.Connection, child: Part, keys: Keys) -> sa.ColumnElement[bool]:
    """The rows of `child` that belong to the conversations with these primary keys."""
    parent = on.part(child.parent or "")
    theirs = [parent.table.c[its] for _, its in child.join]
    if parent is on.what and theirs == on.what.primary_key:
        found: Keys = keys
    else:
        where = matching(parent.primary_key, keys) if parent is on.what else belonging(on, connection, parent, keys)
        found = [tuple(row) for row in connection.execute(sa.select(*theirs).where(where)) if None not in tuple(row)]
    own = [child.table.c[key] for key, _ in child.join]
    return matching(own, found)


def verbatim_columns(connection: sa.Connection, dialect: Dialect, part: Part) -> list[sa.ColumnElement[Any]]:
    """The table's columns as the driver has them, whatever SQLAlchemy would make of their types."""
    preparer = connection.dialect.identifier_preparer
    table = preparer.format_table(part.table)
    return [
        dialect.verbatim(sa.literal_column(f"{table}.{preparer.quote_identifier(name)}")).label(f"c{place}")
        for place, name in enumerate(part.columns)
    ]


def encoded(value: Any, *, as_ascii: bool = False) -> str:
    """JSON on one line; what JSON doesn't know is an object with one key that begins with a dollar sign."""
    return json.dumps(value, ensure_ascii=as_ascii, separators=(",", ":"), default=_tagged)


def decoded(line: str) -> Any:
    """What `encoded` was given; raises IntegrityError."""
    try:
        return json.loads(line, object_hook=_untagged)
    except (ValueError, ArithmeticError) as problem:
        raise IntegrityError(f"A line of this archive can't be read: {problem}.") from None


def _tagged(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, date):
        return {"$date": value.isoformat()}
    if isinstance(value, uuid.UUID):
        return {"$uuid": str(value)}
    if isinstance(value, timedelta):
        return {"$microseconds": value // timedelta(microseconds=1)}
    raise TypeError(f"a {type(value).__name__} has no place in an archive")


def _untagged(content: dict[str, Any]) -> Any:
    if len(content) != 1:
        return content
    ((name, value),) = content.items()
    readers: dict[str, Callable[[Any], Any]] = {
        "$bytes": base64.b64decode,
        "$decimal": Decimal,
        "$datetime": datetime.fromisoformat,
        "$date": date.fromisoformat,
        "$uuid": uuid.UUID,
        "$microseconds": lambda count: timedelta(microseconds=count),
    }
    return readers[name](value) if name in readers else content


def folded(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """A key as a database may join it with others: texts that differ in case, or in blanks at their end."""
    return tuple(value.rstrip().casefold() if isinstance(value, str) else value for value in key)


def _found(ordinals: Mapping[tuple[Any, ...], int], key: tuple[Any, ...], child: str) -> int:
    number = ordinals.get(key, ordinals.get(folded(key)))
    if number is None:
        raise IntegrityError(f"A row of '{child}' came without its conversation, so it can't be archived.")
    return number
