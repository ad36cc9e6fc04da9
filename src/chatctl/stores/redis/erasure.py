"""What an erased user leaves in Redis beside their sessions: profile, preferences, indexes, grants, guest places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from chatctl.domain.session_ids import LegacyId, SessionId
from chatctl.errors import RetryableError
from chatctl.stores.redis.client import RedisServers
from chatctl.stores.redis.keys import USER_SCOPES, Keys, escape_glob
from chatctl.stores.redis.sessions import RedisSessions

#: The families whose keys bear a user's ID.
_FAMILIES = (
    "user_profile", "user_preference", "user_chats_general", "user_chats_all", "user_chats_project", "grant",
    "granted_projects",
)  # fmt: skip
_SCAN_COUNT = 1_000
_PART = 500
_ATTEMPTS = 20


class UserTraces:
    """The keys of users behind `servers`, and their places in others' sessions."""

    def __init__(self, servers: RedisServers, keys: Keys, sessions: RedisSessions) -> None:
        self._servers = servers
        self._keys = keys
        self._sessions = sessions

    def erase(self, user: str) -> int:
        """Deletes what bears the user's ID; the number of keys that were deleted or changed. Safe to repeat."""
        return (
            self._erase_scopes(user)
            + sum(self._erase_family(family, user) for family in _FAMILIES if family in self._keys.templates)
            + sum(self._leave(session, user) for session in self._others_sessions(user))
        )

    def _erase_scopes(self, user: str) -> int:
        if not self._keys.clustered:
            return 0
        place = self._keys.own(USER_SCOPES, f"user:{user}", user=user)
        return int(self._servers.attempt(partial(self._servers.client(place.db).delete, place.name)))

    def _erase_family(self, family: str, user: str) -> int:
        pattern = self._keys.pattern(family, user=escape_glob(user))
        deleted = 0
        with self._servers.translating():
            client = self._servers.client(self._keys.db(family))
            for name in client.scan_iter(match=pattern, count=_SCAN_COUNT):
                found = self._keys.parse(family, name)
                # A pattern may match a longer name too: what counts is what the name means.
                if found is not None and found.get("user") == user:
                    deleted += client.delete(name)
        return deleted

    def _others_sessions(self, user: str) -> list[SessionId | LegacyId]:
        found: list[SessionId | LegacyId] = []
        part: list[SessionId | LegacyId] = []
        for session in self._sessions.ids():
            part.append(session)
            if len(part) == _PART:
                found += self._naming(part, user)
                part = []
        return found + self._naming(part, user)

    def _naming(self, sessions: Sequence[SessionId | LegacyId], user: str) -> list[SessionId | LegacyId]:
        listed = {str(session): session for session in sessions}
        return [listed[stored.id] for stored in self._sessions.get_many(sessions) if stored.without(user) != stored]

    def _leave(self, session: SessionId | LegacyId, user: str) -> int:
        """Takes the user out of the guests of somebody's session, and their messages out of its history."""
        for _ in range(_ATTEMPTS):
            stored = self._sessions.get(session)
            if stored is None:
                return 0
            rest = stored.without(user)
            if rest.record == stored.record or self._sessions.replace(session, stored.record, rest.fields):
                self._forget_messages(session, set(stored.history) - set(rest.history))
                return 1
        raise RetryableError(f"Session {session} is being changed all the time.")

    def _forget_messages(self, session: SessionId | LegacyId, entries: Iterable[str]) -> None:
        place = self._keys.session("chat_history", session)
        client = self._servers.client(place.db)
        for entry in entries:
            self._servers.attempt(partial(client.lrem, place.name, 0, entry))
