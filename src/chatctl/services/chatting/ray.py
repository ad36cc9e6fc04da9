"""ray: messages with their projects, chats and users, and the context that the model gets."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chatctl.domain.prompts import Message
from chatctl.domain.ray_messages import ANONYMOUS, with_results
from chatctl.errors import AccessRefusedError, RepeatedKeyError
from chatctl.services.chatting.answering import Answering
from chatctl.stores.sql.serving.gateway import Gateway
from chatctl.stores.sql.serving.ray import RayChat, RayRows

log = logging.getLogger(__name__)

#: Messages of a chat that the model is reminded of.
HISTORY = 10
#: Chats that are kept in memory, and how many leave when there are more.
MOST_CACHED, LEAVING = 10_000, 1_000
#: A chat that nobody has written to for so long leaves too.
IDLE = timedelta(hours=1)

_FOREIGN = "The chat belongs to another user."
_ATTEMPTS = 5

Exchange = tuple[str, str | None]


@dataclass
class _Cached:
    active_at: datetime
    accessed_at: datetime | None
    exchanges: list[Exchange]


class SessionCache:
    """The newest messages of the chats that are in use. It loses nothing: the tables hold all of it."""

    def __init__(self, most: int = MOST_CACHED, leaving: int = LEAVING, idle: timedelta = IDLE) -> None:
        self._most, self._leaving, self._idle = most, leaving, idle
        self._lock = threading.Lock()
        self._chats: OrderedDict[tuple[str, str, str], _Cached] = OrderedDict()

    def __len__(self) -> int:
        return len(self._chats)

    def get(self, key: tuple[str, str, str], accessed_at: datetime | None) -> list[Exchange] | None:
        """The messages as they were at `accessed_at`; None where another process has written since."""
        with self._lock:
            cached = self._chats.get(key)
            if cached is None or cached.accessed_at != accessed_at:
                return None
            self._chats.move_to_end(key)
            return list(cached.exchanges)

    def put(self, key: tuple[str, str, str], accessed_at: datetime | None, exchanges: Sequence[Exchange]) -> None:
        """Keeps the newest messages; the least recently active chats leave where there are too many."""
        now = datetime.now(UTC)
        with self._lock:
            self._chats[key] = _Cached(now, accessed_at, list(exchanges)[-HISTORY:])
            self._chats.move_to_end(key)
            if len(self._chats) > self._most:
                for _ in range(self._leaving):
                    self._chats.popitem(last=False)
            while self._chats and next(iter(self._chats.values())).active_at < now - self._idle:
                self._chats.popitem(last=False)


@dataclass(frozen=True)
class RayRequest:
    """A message in the new format; the user is the token's."""

    message: str
    project_id: str
    chat_id: str
    user_id: str
    model: str | None = None
    command_results: Sequence[Mapping[str, Any]] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells its chat from every other one."""
        return (self.user_id, self.project_id, self.chat_id)


class Ray:
    """What the ray system's endpoints do."""

    def __init__(self, gateway: Gateway, rows: RayRows, answering: Answering) -> None:
        self._gateway = gateway
        self._rows = rows
        self._answering = answering
        self.cache = SessionCache()

    def ask(self, request: RayRequest) -> str:
        """The answer to a message, with the chat's history; nothing is stored yet.

        Raises AccessRefusedError where the chat is another user's.
        """
        if request.user_id == ANONYMOUS:
            log.warning("Served the anonymous user in project %s.", request.project_id)
        exchanges, system = self._gateway.read(lambda connection: self._context(connection, request))
        history = [message for exchange in exchanges for message in _as_messages(exchange)]
        question = with_results(request.message, request.command_results)
        return self._answering.reply(question, history, system).text

    def store(self, request: RayRequest, response: str) -> datetime:
        """Stores the message with its response, and whatever its chat needs; when that was."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._store_once(request, response, datetime.now(UTC))
            except RepeatedKeyError:
                # Another request has just made the chat: now it is there, and its owner decides.
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")  # pragma: no cover

    def _store_once(self, request: RayRequest, response: str, now: datetime) -> datetime:
        known = self._gateway.write(lambda connection: self._write(connection, request, response, now))
        self.cache.put(request.key, now, [*known, (request.message, response)])
        return now

    def _context(self, connection: Any, request: RayRequest) -> tuple[list[Exchange], str | None]:
        found = self._rows.chat(connection, request.project_id, request.chat_id)
        _require_owner(found, request.user_id)
        exchanges = self._exchanges(connection, request, found)
        people = self._rows.people
        parts = []
        if settings := people.value(connection, "projects", request.project_id, "settings"):
            parts.append(f"Project settings: {json.dumps(settings, ensure_ascii=False)}")
        if request.user_id != ANONYMOUS:
            preferences = people.value(connection, "users", request.user_id, "preferences")
            if preferences:
                parts.append(f"User preferences: {json.dumps(preferences, ensure_ascii=False)}")
        return exchanges, "\n".join(parts) or None

    def _exchanges(self, connection: Any, request: RayRequest, found: RayChat | None) -> list[Exchange]:
        if found is None:
            return []
        cached = self.cache.get(request.key, found.accessed_at)
        if cached is not None:
            return cached
        return self._rows.history(connection, request.project_id, request.chat_id, HISTORY)

    def _write(self, connection: Any, request: RayRequest, response: str, now: datetime) -> list[Exchange]:
        rows, project, chat, user = self._rows, request.project_id, request.chat_id, request.user_id
        rows.people.require(connection, "users", user, now)
        rows.people.require(connection, "projects", project, now, name=project)
        found = rows.chat(connection, project, chat, locked=True)
        _require_owner(found, user)
        known = self._exchanges(connection, request, found)
        if found is None:
            found = rows.add_chat(connection, user, project, chat, now)
        rows.touch(connection, project, chat, found, user, now)
        values = {
            "user_id": user,
            "content": request.message,
            "response": response,
            "model": request.model or self._answering.model.name,
            "command_results": [dict(result) for result in request.command_results] or None,
            "created_at": now,
            "role": "user",
        }
        rows.add_message(connection, project, chat, values)
        return known


def _require_owner(found: RayChat | None, user: str) -> None:
    if found is not None and found.owner not in (None, user):
        raise AccessRefusedError(_FOREIGN)


def _as_messages(exchange: Exchange) -> list[Message]:
    asked, answered = exchange
    return [Message("user", asked), *([Message("assistant", answered)] if answered else [])]
