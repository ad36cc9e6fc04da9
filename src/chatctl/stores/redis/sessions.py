"""Sessions in Redis: reading, listing, changing one record, taking sessions out and putting them back.

Creating them is the counters' business. Every read of several keys is one pipeline, never one GET a key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from redis.exceptions import ResponseError

from chatctl.domain.session_ids import LegacyId, SessionId, parse_session
from chatctl.domain.sessions import SessionSummary, StoredSession
from chatctl.errors import IntegrityError, InvalidIdError
from chatctl.stores.redis.client import Client, RedisServers
from chatctl.stores.redis.counters import index_families
from chatctl.stores.redis.keys import USER_SCOPES, Keys, tag_of
from chatctl.stores.redis.scripts import run

Id = SessionId | LegacyId

_PIPELINE = 500
_SCAN_COUNT = 1_000


class RedisSessions:
    """The sessions behind `servers`, under the names that `keys` gives them."""

    def __init__(self, servers: RedisServers, keys: Keys) -> None:
        self._servers = servers
        self._keys = keys

    # --- reading --------------------------------------------------------------------------------------------

    def get(self, session: Id) -> StoredSession | None:
        """The session with its history, or None where Redis has none of that ID."""
        return next(iter(self.get_many([session])), None)

    def get_many(self, sessions: Sequence[Id]) -> list[StoredSession]:
        """Those of `sessions` that are in Redis, with their histories, in order."""
        found: list[StoredSession] = []
        for part in _parts(sessions):
            answers = self._servers.attempt(partial(self._read, part, with_history=True))
            for session, (record, history) in zip(part, answers, strict=True):
                if record is not None:
                    found.append(StoredSession(str(session), record, tuple(history)))
        return found

    def summaries(self, sessions: Sequence[Id]) -> list[SessionSummary]:
        """The records of those of `sessions` that are in Redis, in order, and how long their histories are."""
        found: list[SessionSummary] = []
        for part in _parts(sessions):
            answers = self._servers.attempt(partial(self._read, part, with_history=False))
            for session, (record, length) in zip(part, answers, strict=True):
                if record is not None:
                    found.append(SessionSummary(str(session), StoredSession(str(session), record).fields, length))
        return found

    def page(self, session: Id, offset: int, limit: int) -> tuple[StoredSession, int] | None:
        """The session with `limit` entries of its history from `offset` on, and how many there are; None without it."""

        def read() -> list[Any]:
            with self._client().pipeline(transaction=False) as pipeline:
                pipeline.get(self._keys.session("chat_metadata", session).name)
                history = self._keys.session("chat_history", session).name
                pipeline.lrange(history, offset, offset + limit - 1)
                pipeline.llen(history)
                answers: list[Any] = pipeline.execute(raise_on_error=False)
                return answers

        answers = self._servers.attempt(read)
        record, history = self._checked(session, answers[:2])
        if record is None:
            return None
        self._checked(session, answers[2:])
        return StoredSession(str(session), record, tuple(history)), int(answers[2])

    def ids_of(self, user: str, project: str | None = None) -> list[Id]:
        """The sessions in a user's index (of one project where that is given), there or not, in order."""
        family = "user_chats_project" if project else "user_chats_all"
        texts: set[str] = set()
        for scope in self._scopes_of(user):
            place = self._keys.index(family, scope, user, project)
            texts |= self._servers.attempt(partial(self._client().smembers, place.name))
        return sorted((session for text in texts if (session := _id(text))), key=_order)

    def ids(self) -> Iterator[Id]:
        """Every session that has a record, in no order; found by SCAN."""
        with self._servers.translating():
            pattern = self._keys.pattern("chat_metadata")
            for name in self._client().scan_iter(match=pattern, count=_SCAN_COUNT):
                found = self._keys.parse("chat_metadata", name)
                session = _id(found["chat"]) if found else None
                if session is not None:
                    yield session

    # --- changing -------------------------------------------------------------------------------------------

    def prepare_user(self, user: str, scope_name: str) -> None:
        """Notes, before a session is created, in which scopes the user has sessions: a cluster keeps them apart."""
        if self._keys.clustered:
            name = self._user_scopes(user)
            self._servers.attempt(lambda: self._counters().sadd(name, scope_name))

    def replace(self, session: Id, read: str, fields: Mapping[str, Any]) -> bool:
        """Writes the record's new fields where its text still is `read`; False where it has changed since."""
        name = self._keys.session("chat_metadata", session).name
        text = json.dumps(fields, ensure_ascii=False)
        answer = self._servers.attempt(lambda: run(self._client(), "replace", [name], [read, text]))
        return bool(answer)

    def withdraw(self, stored: StoredSession) -> str:
        """Takes the session out where it still is exactly `stored`: `gone`, `absent` or `changed`."""
        session = parse_session(stored.id)
        arguments: list[str | int] = [stored.id, _digest(stored.record), _history_digest(stored.history)]
        answer: str = self._servers.attempt(
            lambda: run(self._client(), "withdraw", self._names(session, stored), arguments)
        )
        return answer

    def forget_state(self, stored: StoredSession) -> None:
        """Deletes what an application keeps for the hour that a session is open, where the layout declares it."""
        if "session" in self._keys.templates:
            place = self._keys.session("session", parse_session(stored.id))
            self._servers.attempt(partial(self._servers.client(place.db).delete, place.name))

    def restore(self, stored: StoredSession) -> str:
        """Puts the session back: `restored`, `same` where it is there already, `different` where another is."""
        session = parse_session(stored.id)
        names = self._names(session, stored)
        if isinstance(session, SessionId):
            self.prepare_user(str(stored.fields.get("user_id")), session.scope.name)
        answer: str = self._servers.attempt(
            lambda: run(self._client(), "restore", names, [stored.id, stored.record, *stored.history])
        )
        return answer

    def _client(self) -> Client:
        return self._servers.client(self._keys.db("chat_metadata"))

    def _counters(self) -> Client:
        return self._servers.client(self._keys.db("counter_general"))

    def _user_scopes(self, user: str) -> str:
        return self._keys.own(USER_SCOPES, f"user:{user}", user=user).name

    def _scopes_of(self, user: str) -> list[str]:
        if not self._keys.clustered:
            return [""]
        name = self._user_scopes(user)
        return sorted(self._servers.attempt(lambda: self._counters().smembers(name)))

    def _read(self, sessions: Sequence[Id], *, with_history: bool) -> list[tuple[str | None, Any]]:
        """Each record, and its history or only the length of that."""
        with self._client().pipeline(transaction=False) as pipeline:
            for session in sessions:
                pipeline.get(self._keys.session("chat_metadata", session).name)
                history = self._keys.session("chat_history", session).name
                if with_history:
                    pipeline.lrange(history, 0, -1)
                else:
                    pipeline.llen(history)
            answers = pipeline.execute(raise_on_error=False)
        return [
            self._checked(session, answers[2 * position : 2 * position + 2])
            for position, session in enumerate(sessions)
        ]

    def _checked(self, session: Id, answers: Sequence[Any]) -> tuple[str | None, Any]:
        for answer in answers:
            if isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer):
                raise IntegrityError(
                    f"{self._servers.where}: a key of session {session} holds another type than its name promises.",
                    hint="chatctl counters check lists such keys.",
                )
            if isinstance(answer, Exception):
                raise answer
        return answers[0], answers[1] if len(answers) > 1 else []

    def _names(self, session: Id, stored: StoredSession) -> list[str]:
        names = [self._keys.session(family, session).name for family in ("chat_metadata", "chat_history")]
        user = stored.fields.get("user_id")
        if isinstance(user, str):
            project = _project(session, stored)
            families = index_families(project)
            names += [self._keys.index(family, tag_of(session), user, project).name for family in families]
        return names


def _id(text: str) -> Id | None:
    try:
        return parse_session(text)
    except InvalidIdError:
        return None


def _order(session: Id) -> tuple[Any, ...]:
    return (0, session.scope.sort_key, session.number) if isinstance(session, SessionId) else (1, session.text)


def _project(session: Id, stored: StoredSession) -> str | None:
    """The project that a session is indexed under; an old session's ID doesn't tell, its record does."""
    if isinstance(session, SessionId):
        return session.scope.project
    project = stored.fields.get("project_number")
    return str(project) if project and stored.fields.get("chat_type") == "project" else None


def _parts(sessions: Sequence[Id]) -> Iterator[Sequence[Id]]:
    for start in range(0, len(sessions), _PIPELINE):
        yield sessions[start : start + _PIPELINE]


def _history_digest(history: Sequence[str]) -> str:
    entries = [entry.encode(errors="surrogateescape") for entry in history]
    return _sha1(b"".join(b"%d:%b" % (len(entry), entry) for entry in entries))


def _digest(text: str) -> str:
    return _sha1(text.encode(errors="surrogateescape"))


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
