"""simorgh: numbered sessions in Redis, project permissions at every step, sharing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from chatctl.domain.result import Result
from chatctl.domain.session_ids import LegacyId, SessionId, parse_session
from chatctl.domain.sessions import FIRST_NAME, StoredSession, iso
from chatctl.errors import AccessRefusedError, InvalidIdError, NotFoundError, RetryableError
from chatctl.services.counters.issuing import Issuer
from chatctl.services.permissions.probing import Prober
from chatctl.services.sessions import changing, creating, reading

Id = SessionId | LegacyId

MISSING = "Chat not found"
_ATTEMPTS = 20
STATUSES = ("active", "archived", "closed")


class Sessions(reading.Sessions, changing.Sessions, creating.Users, Protocol):
    """The sessions in Redis."""

    def page(self, session: Id, offset: int, limit: int) -> tuple[StoredSession, int] | None:
        """A session with a part of its history, and how long that is."""

    def withdraw(self, stored: StoredSession) -> str:
        """Takes a session out where it still is exactly so: `gone`, `absent` or `changed`."""


class Simorgh:
    """What the simorgh system's endpoints do. Every method is given the user that the token names.

    Where there are no tokens and the request names nobody, that is None: a session's owner then.
    """

    def __init__(
        self,
        sessions: Sessions,
        issuer: Callable[[], Issuer],
        prober: Callable[[], Prober],
        titler: Callable[[str], str | None],
        archive: Callable[[], reading.Archive | None] = lambda: None,
    ) -> None:
        self._sessions = sessions
        self._archive = archive
        self._issuer = issuer
        self._prober = prober
        self._titler = titler

    def create(self, user: str, project: str | None, page: str | None, name: str | None) -> dict[str, Any]:
        """Creates a session; raises what the services raise."""
        wanted = creating.NewSession(user, project, page, name if project is not None else None)
        result: Result = creating.create(self._issuer(), self._sessions, self._prober(), wanted, datetime.now(UTC))
        chat = self._require(str(result.data["id"]))
        return _record(chat)

    def get(self, user: str | None, chat: str, limit: int, offset: int) -> dict[str, Any]:
        """A session that the user owns or was let into, with a page of its history, oldest first.

        One that was archived is read where it is now.
        """
        found = self._sessions.page(_id(chat), offset, limit) or self._archived(chat, offset, limit)
        if found is None:
            raise NotFoundError(MISSING)
        stored, total = found
        self._require_access(user, stored)
        messages = [dict(message) for message in stored.messages]
        return {"chat": _record(stored), "messages": messages, "total": total, "limit": limit, "offset": offset}

    def _archived(self, chat: str, offset: int, limit: int) -> tuple[StoredSession, int] | None:
        archive = self._archive()
        for stored in archive.load([chat]) if archive is not None else ():
            return replace(stored, history=stored.history[offset : offset + limit]), len(stored.history)
        return None

    def page(self, user: str, project: str | None, limit: int, offset: int) -> dict[str, Any]:
        """The user's own sessions, newest first."""
        found = reading.list_sessions(self._sessions, user, project, limit=limit, offset=offset).data
        chats = [{"chat_id": row.pop("id"), **row} for row in found["sessions"] if row["user_id"] == user]
        return {"chats": chats, "total": found["total"], "limit": limit, "offset": offset}

    def change(self, user: str | None, chat: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Changes the name or the status of one of the user's own sessions."""
        owner = _owner(self._require_owned(user, chat))
        fields = changing.change(self._sessions, _id(chat), lambda before: {**_own(before, owner), **values})
        return {"chat_id": chat, **fields}

    def title(self, user: str | None, chat: str, first_message: str) -> dict[str, Any]:
        """Names a session after its first message; one that says nothing leaves it the name that it began with."""
        return self.change(user, chat, {"chat_name": self._titler(first_message) or FIRST_NAME})

    def delete(self, user: str | None, chat: str) -> None:
        """Deletes one of the user's own sessions with its history. Its number is not given out again."""
        for _ in range(_ATTEMPTS):
            stored = self._require_owned(user, chat)
            if self._sessions.withdraw(stored) == "gone":
                return
        raise RetryableError(f"Session {chat} is being changed all the time.")

    def share(self, user: str | None, chat: str, guests: Sequence[str]) -> list[str]:
        """Lets exactly `guests` into one of the user's own sessions; those of a project must hold its permission."""
        stored = self._require_owned(user, chat)
        present = _guests(stored)
        wanted = [guest for guest in dict.fromkeys(guests) if guest != _owner(stored)]
        added = [guest for guest in wanted if guest not in present]
        removed = [guest for guest in present if guest not in wanted]
        result = changing.share(self._sessions, self._prober().decide, _id(chat), added, removed)
        return list(result.data["allowed_users"])

    def _require(self, chat: str) -> StoredSession:
        stored = self._sessions.get(_id(chat))
        if stored is None:
            raise NotFoundError(MISSING)
        return stored

    def _require_owned(self, user: str | None, chat: str) -> StoredSession:
        stored = self._require(chat)
        _own(stored.fields, user or _owner(stored))
        self._require_permission(_owner(stored), stored)
        return stored

    def _require_access(self, user: str | None, stored: StoredSession) -> None:
        who = user or _owner(stored)
        if who != _owner(stored) and who not in _guests(stored):
            raise NotFoundError(MISSING)
        self._require_permission(who, stored)

    def _require_permission(self, user: str, stored: StoredSession) -> None:
        """A project's session is for those who may enter the project now, its owner included."""
        project = stored.fields.get("project_number")
        if stored.fields.get("chat_type") == "project" and project:
            decision = self._prober().decide(user, str(project))
            if not decision.allowed:
                raise AccessRefusedError(decision.reason)


def _owner(stored: StoredSession) -> str:
    return str(stored.fields.get("user_id") or "")


def _own(fields: Mapping[str, Any], user: str) -> dict[str, Any]:
    """The fields, if the session is the user's: of somebody else's not even the existence is told."""
    if fields.get("user_id") != user:
        raise NotFoundError(MISSING)
    return dict(fields)


def _id(chat: str) -> Id:
    try:
        return parse_session(chat)
    except InvalidIdError:
        raise NotFoundError(MISSING) from None


def _guests(stored: StoredSession) -> list[str]:
    guests = stored.fields.get("allowed_users")
    return [str(guest) for guest in guests] if isinstance(guests, list) else []


def _record(stored: StoredSession) -> dict[str, Any]:
    record = json.loads(json.dumps(dict(stored.fields)))
    return {"chat_id": stored.id, **record, "last_active": iso(stored.last_active)}
