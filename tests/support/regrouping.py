"""Databases of flat messages to regroup, and the plain grouping in memory that a run is compared with."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.support.migrated import Migrated

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Result
from chatctl.layouts import Phase, load_layout
from chatctl.services.regroup import running, undoing, verifying
from chatctl.services.regroup.driving import Crew
from chatctl.services.regroup.planning import make_plan
from chatctl.services.regroup.target import RegroupTarget, Request
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal


@dataclass(frozen=True)
class Message:
    """One flat message."""

    id: str
    user_id: str
    mentor_id: str | None
    created_at: datetime
    content: str = "text"


def partition(messages: Iterable[Message], gap_seconds: int | None = None, *, general: bool = False) -> set[frozenset]:
    """The IDs that belong together, by a plain loop: what every run must come to."""
    chosen = [message for message in messages if general or message.mentor_id is not None]
    chosen.sort(key=lambda m: (m.user_id, m.mentor_id is None, m.mentor_id or "", m.created_at, m.id))
    found = []
    for _, group in groupby(chosen, key=lambda m: (m.user_id, m.mentor_id)):
        chat: list[Message] = []
        for message in group:
            pause = message.created_at - chat[-1].created_at if chat else timedelta(0)
            if gap_seconds is not None and pause > timedelta(seconds=gap_seconds):
                found.append(chat)
                chat = []
            chat.append(message)
        found.append(chat)
    return {frozenset(message.id for message in chat) for chat in found}


def sample(file: Path, limit: int | None = None) -> list[Message]:
    """The first `limit` messages of the sample, each ID once."""
    found: dict[str, Message] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            moment = datetime.fromisoformat(row["createdAt"])
            message = Message(row["id"], row["userId"], row["mentorId"], moment, row["content"])
            found.setdefault(message.id, message)
            if len(found) == limit:
                break
    return list(found.values())


class Mentored:
    """A database of the layout `mentor` after its expand phase, with users and mentors left to be made.

    `made` says that it is there already.
    """

    def __init__(self, url: str, *, made: bool = False) -> None:
        self.database = Database(url)
        layout = load_layout("mentor")
        self.target = RegroupTarget(self.database, layout, Journal(self.database))
        self.tables = self.target.tables
        if not made:
            Migrated(layout, self.database).up_to(Phase.EXPAND)

    def close(self) -> None:
        self.database.close()

    def fill(self, messages: Iterable[Message], chat_id: str | None = None) -> None:
        """Adds messages, as the old application writes them, or into a chat."""
        keys = ["id", "user_id", "mentor_id", "role", "content", "created_at", "chat_id"]
        rows = [
            (
                m.id,
                m.user_id,
                m.mentor_id,
                "user",
                m.content,
                m.created_at.astimezone(UTC).replace(tzinfo=None),
                chat_id,
            )
            for m in messages
        ]
        with self.database.begin() as connection:
            self.database.dialect.bulk_insert(connection, self.tables["messages"], keys, rows)

    def regroup(
        self, gap: str | None = None, *, batch_size: int | None = None, workers: int = 1, **asked: Any
    ) -> Result:
        grouping = self.target.grouping(Request(gap=gap, **asked))
        return running.start(self.target, grouping, crew(batch_size, workers))

    def plan(self, gap: str | None = None, **asked: Any) -> dict[str, Any]:
        with self.database.connect() as connection:
            return make_plan(self.target, connection, self.target.grouping(Request(gap=gap, **asked))).data

    def verify(self) -> Result:
        return verifying.verify(self.target, None)

    def undo(self, batch_size: int | None = None, workers: int = 1) -> Result:
        return undoing.undo(self.target, None, crew(batch_size, workers))

    def partition(self) -> set[frozenset]:
        """The IDs that share a chat."""
        found: dict[str, list[str]] = {}
        messages = self.tables["messages"]
        with self.database.connect() as connection:
            rows = connection.execute(
                sa.select(messages.c.chat_id, messages.c.id).where(messages.c.chat_id.is_not(None))
            )
            for chat_id, message_id in rows:
                found.setdefault(chat_id, []).append(message_id)
        return {frozenset(ids) for ids in found.values()}

    def rows(self, entity: str, *keys: str) -> list[tuple[Any, ...]]:
        """The rows of an entity in the order of its ID; all columns if none is named."""
        table = self.tables[entity]
        columns = [table.c[key] for key in keys] or list(table.c)
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.select(*columns).order_by(table.c.id))]

    def fingerprints(self, *, chats: bool = True) -> dict[str, tuple[int, str]]:
        """A checksum of each table of the application."""
        entities = ["users", "mentors", "messages", *(["chats"] if chats else [])]
        with self.database.connect() as connection:
            return {key: self.database.dialect.fingerprint(connection, self.tables[key]) for key in entities}

    def execute(self, statement: Any) -> None:
        with self.database.begin() as connection:
            connection.execute(statement)

    def empty(self) -> None:
        """Deletes every row of the application."""
        for entity in ("messages", "chats", "mentors", "users"):
            self.execute(self.tables[entity].delete())


def crew(batch_size: int | None = None, workers: int = 1) -> Crew:
    """Workers whom nobody watches."""
    return Crew(SilentProgress(), StopSignal(), batch_size, workers)
