"""A session's record as chatctl writes it, and how any record is read. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: The name of a general session until its first message gives it a better one.
FIRST_NAME = "New conversation"


@dataclass(frozen=True)
class StoredSession:
    """A session as it is kept: the exact text of its record and of each entry of its history, oldest first."""

    id: str
    record: str
    history: tuple[str, ...] = ()

    @property
    def fields(self) -> Mapping[str, Any]:
        """The record's fields; empty where its text is no JSON object."""
        return _object(self.record)

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The entries of the history as fields."""
        return [_object(entry) for entry in self.history]

    @property
    def last_active(self) -> datetime | None:
        """When it was last written to, by the newest instant that a message or the record bears; aware, UTC."""
        texts = [self.fields.get(name) for name in ("last_active", "updated_at", "created_at")]
        texts += [message.get(name) for message in self.messages for name in ("timestamp", "created_at")]
        return max((moment for text in texts if (moment := parse_moment(text))), default=None)

    @property
    def guests(self) -> Sequence[str]:
        """The IDs of those whom the session is shared with."""
        listed = self.fields.get("allowed_users")
        return [str(guest) for guest in listed] if isinstance(listed, list) else []

    def without(self, user: str) -> StoredSession:
        """The session without `user` among its guests and without what they wrote; the same texts where neither is."""
        record = self.record
        if user in self.guests:
            kept = {**self.fields, "allowed_users": [guest for guest in self.guests if guest != user]}
            record = json.dumps(kept, ensure_ascii=False)
        history = tuple(
            entry
            for entry, message in zip(self.history, self.messages, strict=True)
            if message.get("user_id") is None or str(message["user_id"]) != user
        )
        return StoredSession(self.id, record, history)

    @property
    def first_message(self) -> str | None:
        """The text of the first message that a user wrote, as far as the history still has it."""
        for message in self.messages:
            text = message.get("content") or message.get("text")
            if message.get("role", message.get("sender", "user")) == "user" and isinstance(text, str) and text.strip():
                return text
        return None


@dataclass(frozen=True)
class SessionSummary:
    """What a list shows of a session: its record's fields, and how many messages its history holds."""

    id: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    kept_messages: int = 0

    @property
    def message_count(self) -> int:
        """How many messages it has had: a history loses its oldest, and some records are never counted up."""
        count = self.fields.get("message_count")
        return max(count if isinstance(count, int) else 0, self.kept_messages)

    @property
    def created_at(self) -> datetime | None:
        """When it was created; aware, UTC."""
        return parse_moment(self.fields.get("created_at"))


def general_record(user: str, now: datetime) -> dict[str, Any]:
    """The record of a new general session, all but its ID."""
    return _record(user, FIRST_NAME, now, chat_type="general")


def project_record(
    user: str, project: str, project_name: str | None, page_name: str, title: str | None, now: datetime
) -> dict[str, Any]:
    """The record of a new project session, all but its ID."""
    return _record(
        user,
        title or page_name,
        now,
        chat_type="project",
        project_number=project,
        project_name=project_name,
        page_name=page_name,
        project_id_main=project,
    )


def parse_moment(value: object) -> datetime | None:
    """The instant that a record's field bears: ISO 8601 (without a zone: UTC), or seconds or milliseconds."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000 if value >= 1e11 else value, UTC)
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def iso(moment: datetime | None) -> str | None:
    """An instant as chatctl writes it: ISO 8601 in UTC, with Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _record(user: str, name: str, now: datetime, **given: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "chat_name": name,
        "user_id": user,
        "chat_type": "general",
        "project_number": None,
        "project_name": None,
        "page_name": None,
        "created_at": iso(now),
        "message_count": 0,
        "status": "active",
        "project_id_main": None,
    }
    return {**record, **given}


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
