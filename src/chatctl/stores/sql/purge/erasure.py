"""What an erased user leaves beside their conversations: rows of their own, and lines in archives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.domain.retention import HoldKind
from chatctl.layouts.model import Column, Layout
from chatctl.stores.sql.purge.archives import Archive, Archives
from chatctl.stores.sql.purge.conversations import typed
from chatctl.stores.sql.purge.records import Header, Record
from chatctl.stores.sql.purge.restoring import ArchiveReader, Wanted
from chatctl.stores.sql.session_archive import without_guest
from chatctl.stores.sql.tables import LayoutTables

_USERS = "users"


@dataclass(frozen=True)
class UserColumn:
    """A column that may hold a user's ID; where `emptied`, the row stays without it."""

    entity: str
    column: sa.Column[Any]
    emptied: bool


class UserRows:
    """The rows of `layout` that name a user, as the database of `connection` has them."""

    def __init__(self, layout: Layout, connection: sa.Connection) -> None:
        tables, inspector = LayoutTables(layout), sa.inspect(connection)
        self._columns: list[UserColumn] = []
        for entity in tables:
            table = tables[entity]
            if not inspector.has_table(table.name, table.schema):
                continue
            there = {column["name"] for column in inspector.get_columns(table.name, table.schema)}
            for key, column in layout.entities[entity].columns.items():
                if column.name in there and key in table.c and _names_user(entity, key, column, layout):
                    self._columns.append(UserColumn(entity, table.c[key], _is_emptied(key, column)))
        # The user's own row last: others may refer to it.
        self._columns.sort(key=lambda found: found.entity == _USERS)

    def erase(self, connection: sa.Connection, user: str) -> dict[str, int]:
        """Deletes the user's rows, and empties columns where the row is somebody else's; rows touched by table."""
        touched: dict[str, int] = {}
        for found in self._columns:
            table = found.column.table
            assert isinstance(table, sa.Table)
            mine = found.column == typed(found.column, user)
            statement = table.update().values({found.column.key: None}) if found.emptied else table.delete()
            count = connection.execute(statement.where(mine)).rowcount
            touched[table.name] = touched.get(table.name, 0) + count
        return {name: count for name, count in touched.items() if count}

    def left(self, connection: sa.Connection, user: str) -> int:
        """How many rows still name the user."""
        return sum(
            connection.scalar(
                sa.select(sa.func.count())
                .select_from(found.column.table)
                .where(found.column == typed(found.column, user))
            )
            or 0
            for found in self._columns
        )


def archived_of_user(
    connection: sa.Connection, archives: Archives, reader: ArchiveReader, listed: Sequence[Archive], user: str
) -> Iterator[dict[HoldKind, str | None]]:
    """What the user's conversations in these archives tell of what holds can be on."""
    for archive in listed:
        header, stream = reader.open(connection, archive)
        records = list(stream)
        chosen = reader.chosen(header, records, Wanted(user=user))
        told = set()
        for record in records:
            # A conversation's own row stands in front of those that go with it.
            if record.conversation in chosen and record.conversation not in told:
                told.add(record.conversation)
                yield {**reader.told(header, record), "user": user}


def erase_from_archive(
    connection: sa.Connection, archives: Archives, reader: ArchiveReader, archive: Archive, user: str
) -> str | None:
    """Writes an archive anew without the user's rows, if it holds any.

    Returns the file that is to be removed once the transaction is committed, or "" where there is none; None where
    nothing had to be erased.
    """
    header, stream = reader.open(connection, archive)
    records = list(stream)
    chosen = reader.chosen(header, records, Wanted(user=user))
    kept = [
        _without_guest(reader, header, record, user)
        for record in records
        if record.conversation not in chosen and not reader.is_of_user(header, record, user)
    ]
    if kept == records:
        return None
    chats = len({record.conversation for record in kept})
    return archives.replace(connection, archive, list(_lines(header, kept)), chats)


def _lines(header: Header, records: Sequence[Record]) -> Iterator[str]:
    yield header.line()
    for record in records:
        yield record.line()


def _without_guest(reader: ArchiveReader, header: Header, record: Record, user: str) -> Record:
    """A session of somebody else's without the user: taken from Redis, or from where sessions are archived in SQL."""
    if header.holds_sessions:
        rest = record.session.without(user)
        return record if rest == record.session else Record.of_session(record.conversation, rest)
    at = reader.place_of_session(header, record)
    if at is None or record.values[at] is None:
        return record
    kept = json.loads(record.values[at])
    without = without_guest(kept, user)
    if without == kept:
        return record
    values = [*record.values[:at], json.dumps(without), *record.values[at + 1 :]]
    return Record(record.part, record.conversation, values)


def _names_user(entity: str, key: str, column: Column, layout: Layout) -> bool:
    if entity == _USERS:
        own = "user_id" if "user_id" in layout.entities[_USERS].columns else layout.entities[_USERS].primary_key[0]
        return key == own or key.endswith("_by")
    target = (column.references or "").partition(".")[0]
    return key == "user_id" or target == _USERS or key.endswith("_by")


def _is_emptied(key: str, column: Column) -> bool:
    return column.nullable and (column.on_delete == "set null" or key.endswith("_by"))
