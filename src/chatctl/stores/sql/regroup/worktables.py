"""What one run keeps beside the data: its chats, the messages on their way into them, and what undoing it takes.

The tables belong to one run and go with it, so that sealing a run frees its space at once.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.ddl import TEXT_OPTIONS
from chatctl.stores.sql.regroup.scheme import Scheme, TableName, own_type

#: What became of a chat of the run (`fate`).
MADE = 0
#: It was there before the run, which only added messages.
JOINED = 1
#: The application has written to it since, so that undoing the run leaves it.
KEPT = 2

#: How much is kept of what the database said of a message that it refused.
REASON_LENGTH = 255


class WorkTables:
    """The tables of the run `run_id`, in `schema` or in the connection's own."""

    def __init__(self, run_id: str, scheme: Scheme, schema: str | None) -> None:
        self._prefix = TableName.of(run_id, "", None).name.rstrip("_")
        self._scheme = scheme
        self._schema = schema
        self._metadata = sa.MetaData()

    @cached_property
    def chats(self) -> sa.Table:
        """The run's chats: keys, times, how many messages, and what became of each.

        `round` says which pass over the messages found it, `checksum` is the sum of its messages' numbers (see
        `Scheme.number`); `digest` and `first_id` are what a pause is judged by.
        """
        at = self._scheme.at.type
        keys = [self._column(key) for key in self._scheme.grouping.by]
        return self._table(
            "chats",
            sa.Column("chat_id", sa.String(64), primary_key=True),
            sa.Column("round", sa.Integer, nullable=False),
            *keys,
            sa.Column("first_at", at, nullable=False),
            sa.Column("last_at", at, nullable=False),
            sa.Column("messages", sa.BigInteger, nullable=False),
            sa.Column("checksum", sa.BigInteger, nullable=False),
            sa.Column("fate", sa.SmallInteger, nullable=False, server_default="0"),
            sa.Column("last_before", at, nullable=True),
            *self._as_of(),
            *self._by_keys(),
        )

    @cached_property
    def spine(self) -> sa.Table:
        """The messages of one pass in the order of their groups: what pauses are found in."""
        return self._table(
            "spine",
            sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("digest", sa.String(32), primary_key=True),
            sa.Column("at", self._scheme.at.type, primary_key=True),
            sa.Column("id", self._id_type(), primary_key=True, autoincrement=False),
            sa.Column("number", sa.BigInteger, nullable=False),
        )

    @cached_property
    def joined(self) -> sa.Table:
        """The messages that went into chats which were there before."""
        return self._table(
            "joined",
            sa.Column("id", self._id_type(), primary_key=True, autoincrement=False),
            sa.Column("chat_id", sa.String(64), nullable=False),
        )

    @cached_property
    def aside(self) -> sa.Table:
        """The messages that could not be moved, each by itself, and why."""
        return self._table(
            "aside",
            sa.Column("id", self._id_type(), primary_key=True, autoincrement=False),
            sa.Column("reason", sa.String(REASON_LENGTH), nullable=False),
        )

    @cached_property
    def companions(self) -> sa.Table:
        """The rows that were made for users, mentors or projects which had none."""
        return self._table(
            "companions",
            sa.Column("entity", sa.String(64), primary_key=True),
            sa.Column("value", sa.String(255), primary_key=True),
        )

    @cached_property
    def names(self) -> sa.Table:
        """What the mentors were called whose names are in the titles of the run's chats."""
        mentors = self._scheme.tables["mentors"].c
        identity = sa.Column("id", own_type(mentors.id), primary_key=True, autoincrement=False)
        return self._table("names", identity, sa.Column("name", mentors.name.type, nullable=True))

    @cached_property
    def owned(self) -> sa.Table:
        """The messages that named some of their grouping keys before the run filled in the rest."""
        keys = [self._column(key) for key in self._scheme.filled]
        return self._table("owned", sa.Column("id", self._id_type(), primary_key=True, autoincrement=False), *keys)

    @cached_property
    def freed(self) -> sa.Table:
        """The messages that taking the run back has freed, with the chats that they were in."""
        return self._table(
            "freed",
            sa.Column("id", self._id_type(), primary_key=True, autoincrement=False),
            sa.Column("chat_id", sa.String(64), nullable=False),
        )

    @property
    def all(self) -> list[sa.Table]:
        """Every table that this run needs."""
        tables = [self.chats, self.joined, self.companions, self.aside]
        if self._scheme.grouping.gap_seconds is not None:
            tables.append(self.spine)
        if self._scheme.mentors is not None:
            tables.append(self.names)
        if self._scheme.filled:
            tables.append(self.owned)
        if self._scheme.mapping is not None:
            tables.append(self._scheme.mapping)
        return tables

    def create(self, database: Database) -> None:
        """Makes the tables; those that are there stay."""
        with database.begin() as connection:
            for table in self.all:
                table.create(connection, checkfirst=True)

    def create_freed(self, database: Database) -> None:
        """Makes what taking the run back needs; where it is there it stays."""
        with database.begin() as connection:
            self.freed.create(connection, checkfirst=True)

    def drop(self, database: Database) -> None:
        """Drops the tables; those that are gone already don't matter."""
        with database.begin() as connection:
            for table in (*self.all, self.freed):
                table.drop(connection, checkfirst=True)

    def exist(self, connection: sa.Connection) -> bool:
        """Whether the run's chats are still known."""
        return sa.inspect(connection).has_table(self.chats.name, schema=self._schema)

    def drop_spine(self, database: Database) -> None:
        """Drops what only finding pauses needed."""
        if self._scheme.grouping.gap_seconds is not None:
            with database.begin() as connection:
                self.spine.drop(connection, checkfirst=True)

    def _as_of(self) -> list[Any]:
        """What finds the chat that a message of a group falls into."""
        if self._scheme.grouping.gap_seconds is None:
            return []
        return [
            sa.Column("digest", sa.String(32), nullable=False),
            sa.Column("first_id", self._id_type(), nullable=False),
            sa.Index(f"{self._prefix}_as_of", "digest", "first_at", "first_id"),
        ]

    def _by_keys(self) -> list[Any]:
        """What finds a chat by its keys where computing its ID would take longer."""
        if not self._scheme.dialect.hashes_slowly or self._scheme.grouping.gap_seconds is not None:
            return []
        return [sa.Index(f"{self._prefix}_by_keys", *self._scheme.grouping.by, "chat_id")]

    def _table(self, name: str, *columns: Any) -> sa.Table:
        return sa.Table(f"{self._prefix}_{name}", self._metadata, *columns, schema=self._schema, **TEXT_OPTIONS)

    def _column(self, key: str) -> sa.Column[Any]:
        return sa.Column(key, self._scheme.messages.c[key].type, nullable=True)

    def _id_type(self) -> Any:
        return own_type(self._scheme.id)
