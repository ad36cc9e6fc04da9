"""Archived sessions in SQL: the exact text of each record and each entry of its history, and columns to find them by.

The text is kept as a JSON string, which every engine gives back to the letter; an object would be rewritten by some.
What is no text at all (bytes that aren't UTF-8, a NUL) is kept as {"base64": …}, which every engine takes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from chatctl.domain.session_ids import Scope, SessionId, parse_session
from chatctl.domain.sessions import StoredSession, parse_moment
from chatctl.errors import InvalidIdError, MissingEntityError
from chatctl.layouts.model import Layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.tables import LayoutTables

_PAIRS = (("archived_chats", "archived_messages"), ("chats", "messages"))
_ROWS_A_FETCH = 5_000


class SessionArchive:
    """The archive in `database`, in the tables that `layout` declares for it.

    Raises MissingEntityError where the layout declares none, or the database lacks them.
    """

    def __init__(self, database: Database, layout: Layout) -> None:
        self._database = database
        pair = _entities(layout)
        if pair is None:
            raise MissingEntityError(
                f"The layout '{layout.name}' has no place for archived sessions.",
                hint="A table with 'archived_at' and 'metadata', and one of messages with 'record', as simorgh has.",
            )
        tables = LayoutTables(layout)
        self._chats, self._messages = tables[pair[0]], tables[pair[1]]

    @staticmethod
    def declared_by(layout: Layout) -> bool:
        """Whether `layout` has a place for archived sessions."""
        return _entities(layout) is not None

    @staticmethod
    def record_of(layout: Layout) -> tuple[str, str] | None:
        """The entity and the column of it that hold the records, where `layout` has a place for them."""
        pair = _entities(layout)
        return None if pair is None else (pair[0], "metadata")

    @property
    def ready(self) -> bool:
        """Whether the tables are there."""
        if not self._database.exists:
            return False
        with self._database.connect() as connection:
            return sa.inspect(connection).has_table(self._chats.name, schema=self._chats.schema)

    def require(self) -> None:
        """Raises MissingEntityError where the tables aren't there."""
        if not self.ready:
            raise MissingEntityError(
                f"{self._database.where} has no table '{self._chats.name}'.", hint="chatctl migrate makes it."
            )

    def save(self, sessions: Sequence[StoredSession], now: datetime) -> None:
        """Writes the sessions, in the place of what an interrupted archiving may have left. `now` is aware."""
        ids = [session.id for session in sessions]
        messages = [row for session in sessions for row in self._message_rows(session)]
        with self._database.begin() as connection:
            connection.execute(self._messages.delete().where(self._messages.c.chat_id.in_(ids)))
            connection.execute(self._chats.delete().where(self._chats.c.id.in_(ids)))
            connection.execute(self._chats.insert(), [self._chat_row(session, now) for session in sessions])
            if messages:
                connection.execute(self._messages.insert(), messages)

    def load(self, ids: Sequence[str]) -> list[StoredSession]:
        """Those of `ids` that are archived, as they were, in order."""
        histories: dict[str, list[str]] = {text: [] for text in ids}
        messages, chats = self._messages, self._chats
        with self._database.connect() as connection:
            entries = sa.select(messages.c.chat_id, messages.c.record).where(messages.c.chat_id.in_(ids))
            for row in connection.execute(entries.order_by(messages.c.chat_id, messages.c.position)):
                histories[row.chat_id].append(_taken_out(row.record))
            query = sa.select(chats.c.id, chats.c.metadata).where(chats.c.id.in_(ids))
            records = {row.id: _taken_out(row.metadata) for row in connection.execute(query)}
        return [StoredSession(text, records[text], tuple(histories[text])) for text in ids if text in records]

    def remove(self, ids: Sequence[str]) -> None:
        """Takes the sessions out of the archive."""
        with self._database.begin() as connection:
            connection.execute(self._messages.delete().where(self._messages.c.chat_id.in_(ids)))
            connection.execute(self._chats.delete().where(self._chats.c.id.in_(ids)))

    def forget_guest(self, connection: sa.Connection, user: str) -> int:
        """Takes the user out of the guests of others' archived sessions; how many. Their messages are rows."""
        column = self._chats.c
        text = self._database.dialect.as_text(column.metadata)
        shared = sa.or_(text.like("%allowed_users%"), text.like("%base64%"))
        query = sa.select(column.id, column.metadata).where(shared)
        changed = 0
        for row in connection.execute(query).all():
            kept = without_guest(row.metadata, user)
            if kept != row.metadata:
                connection.execute(self._chats.update().where(column.id == row.id).values(metadata=kept))
                changed += 1
        return changed

    def ids(self, user: str | None = None) -> list[str]:
        """The IDs of every archived session, or of a user's."""
        chats = self._chats
        query = sa.select(chats.c.id).order_by(chats.c.id)
        with self._database.connect() as connection:
            return list(connection.scalars(query if user is None else query.where(chats.c.user_id == user)))

    def highest(self, scope: Scope) -> int:
        """The highest number of `scope` in the archive; 0 where there is none."""
        numbers = [session.number for session in self._numbered(scope.prefix) if session.scope == scope]
        return max(numbers, default=0)

    def session_ids(self) -> Iterator[SessionId]:
        """Every numbered ID in the archive."""
        return self._numbered("")

    def _numbered(self, prefix: str) -> Iterator[SessionId]:
        if not self.ready:
            return
        column = self._chats.c.id
        query = sa.select(column).where(column.startswith(prefix, autoescape=True)) if prefix else sa.select(column)
        with self._database.connect() as connection:
            for text in connection.execution_options(yield_per=_ROWS_A_FETCH).scalars(query):
                try:
                    session = parse_session(text)
                except InvalidIdError:
                    continue
                if isinstance(session, SessionId):
                    yield session

    def _chat_row(self, session: StoredSession, now: datetime) -> dict[str, Any]:
        fields = session.fields
        created_at = parse_moment(fields.get("created_at"))
        row = {
            "id": session.id,
            "user_id": _short(fields.get("user_id")) or "",
            "title": _short(fields.get("chat_name")),
            "chat_type": _short(fields.get("chat_type"), 16) or "general",
            "project_id": _short(fields.get("project_number")),
            "project_name": _short(fields.get("project_name")),
            "page_name": _short(fields.get("page_name")),
            "status": _short(fields.get("status"), 32),
            "metadata": _kept(session.record),
            "created_at": created_at or session.last_active or datetime(1970, 1, 1, tzinfo=UTC),
            "accessed_at": session.last_active or now,
            "archived_at": now,
        }
        return {key: value for key, value in row.items() if key in self._chats.c}

    def _message_rows(self, session: StoredSession) -> Iterator[dict[str, Any]]:
        for position, (text, message) in enumerate(zip(session.history, session.messages, strict=True)):
            row = {
                "chat_id": session.id,
                "position": position,
                "message_id": _short(message.get("message_id")),
                "user_id": _short(message.get("user_id")),
                "role": _short(message.get("role"), 32),
                "content": _clean(message.get("content") or message.get("text")),
                "record": _kept(text),
                "created_at": parse_moment(message.get("timestamp") or message.get("created_at")),
            }
            yield {key: value for key, value in row.items() if key in self._messages.c}


def _entities(layout: Layout) -> tuple[str, str] | None:
    """The entities of archived chats and their messages, told by the columns that only an archive has."""
    for chats, messages in _PAIRS:
        if chats in layout.entities and messages in layout.entities:
            marks = layout.entities[chats].columns.keys() & {"archived_at", "metadata"}
            if len(marks) == 2 and "record" in layout.entities[messages].columns:
                return chats, messages
    return None


def without_guest(kept: Any, user: str) -> Any:
    """A record as it is kept, without `user` among the guests of its session; anything else comes back as it is."""
    if not isinstance(kept, str) and not (isinstance(kept, dict) and kept.keys() == {"base64"}):
        return kept
    text = _taken_out(kept)
    rest = StoredSession("", text).without(user).record
    return kept if rest == text else _kept(rest)


def _kept(text: str) -> str | dict[str, str]:
    """The JSON value that stands for `text`, in which the driver's escapes stand for bytes that are no UTF-8."""
    content = text.encode(errors="surrogateescape")
    try:
        content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
    return {"base64": base64.b64encode(content).decode()} if "\0" in text else text


def _taken_out(kept: str | dict[str, str]) -> str:
    if isinstance(kept, str):
        return kept
    return base64.b64decode(kept["base64"]).decode(errors="surrogateescape")


def _short(value: object, length: int = 255) -> str | None:
    text = _clean(value)
    return None if text is None else text[:length]


def _clean(value: object) -> str | None:
    """A text that every engine takes: without NUL and without what is no character."""
    if value is None:
        return None
    return str(value).replace("\0", "").encode(errors="replace").decode()
