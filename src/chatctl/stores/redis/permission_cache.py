"""Grants remembered in Redis: only grants, never for longer than their time, never a failure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chatctl.domain.session_ids import why_no_project
from chatctl.domain.sessions import iso, parse_moment
from chatctl.stores.redis.client import Client, RedisServers
from chatctl.stores.redis.keys import Keys, Place, escape_glob

_DEFAULT_TTL_SECONDS = 3600
_SCAN_COUNT = 1_000


@dataclass(frozen=True)
class CachedGrant:
    """A grant as it is remembered. `age_seconds` counts from when the database gave it."""

    user: str
    project: str
    project_name: str | None
    age_seconds: float
    key: str


class PermissionCache:
    """The cached grants behind `servers`. `clock` tells the time, aware."""

    def __init__(
        self, servers: RedisServers, keys: Keys, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._servers = servers
        self._keys = keys
        self._clock = clock

    @property
    def ttl_seconds(self) -> int:
        """How old a grant may become."""
        return self._keys.ttl_seconds("grant") or _DEFAULT_TTL_SECONDS

    def get(self, user: str, project: str) -> CachedGrant | None:
        """The remembered grant, unless it is none, too old, or of an age that can't be told."""
        if not _cacheable(project):
            return None
        name = self._place(user, project).name
        text = self._servers.attempt(lambda: self._client().get(name))
        return self._read(name, user, project, text)

    def put(self, user: str, project: str, project_name: str | None) -> None:
        """Remembers that the database has just given this grant."""
        if not _cacheable(project):
            return
        record = {
            "has_access": True,
            "cached_at": iso(self._clock()),
            "user": user,
            "project": project,
            "project_name": project_name,
        }
        name = self._place(user, project).name
        text = json.dumps(record, ensure_ascii=False)
        self._servers.attempt(lambda: self._client().set(name, text, ex=self.ttl_seconds))

    def forget(self, user: str, project: str) -> None:
        """Forgets the grant, if there is one."""
        if _cacheable(project):
            name = self._place(user, project).name
            self._servers.attempt(lambda: self._client().delete(name))

    def grants(self, user: str | None = None, project: str | None = None) -> Iterator[CachedGrant]:
        """Every usable remembered grant, of one user or project where that is given; found by SCAN."""
        given = {"user": user, "project": project}
        values = {name: escape_glob(value) for name, value in given.items() if value is not None}
        with self._servers.translating():
            for name in self._client().scan_iter(match=self._keys.pattern("grant", **values), count=_SCAN_COUNT):
                grant = self._grant_at(name)
                if grant and user in (None, grant.user) and project in (None, grant.project):
                    yield grant

    def flush(self, user: str | None = None, project: str | None = None) -> int:
        """Forgets every remembered grant, usable or not, of one user or project where given; how many there were."""
        given = {"user": user, "project": project}
        values = {name: escape_glob(value) for name, value in given.items() if value is not None}
        count = 0
        with self._servers.translating():
            for name in self._client().scan_iter(match=self._keys.pattern("grant", **values), count=_SCAN_COUNT):
                found = self._named(name)
                if found and user in (None, found[0]) and project in (None, found[1]):
                    count += self._client().delete(name)
        return count

    def _client(self) -> Client:
        return self._servers.client(self._keys.db("grant"))

    def _place(self, user: str, project: str) -> Place:
        return self._keys.place("grant", f"user:{user}", user=user, project=project)

    def _named(self, name: str) -> tuple[str, str] | None:
        """User and project by the key's name: the project has no colon, so the last one parts them."""
        found = self._keys.parse("grant", name)
        return (found["user"], found["project"]) if found else None

    def _grant_at(self, name: str) -> CachedGrant | None:
        found = self._named(name)
        return self._read(name, *found, self._client().get(name)) if found else None

    def _read(self, name: str, user: str, project: str, text: str | None) -> CachedGrant | None:
        try:
            record: Any = json.loads(text or "null")
        except ValueError:
            return None
        if not isinstance(record, dict) or record.get("has_access") is not True:
            return None
        if record.get("user", user) != user or str(record.get("project", project)) != project:
            return None
        cached_at = parse_moment(record.get("cached_at"))
        age_seconds = (self._clock() - cached_at).total_seconds() if cached_at else -1.0
        # An age below zero means that a clock is wrong: how old the grant is can't be told.
        if not 0 <= age_seconds < self.ttl_seconds:
            return None
        return CachedGrant(user, project, record.get("project_name"), age_seconds, name)


def _cacheable(project: str) -> bool:
    """A project that could be taken for the end of a user's name is asked for every time."""
    return why_no_project(project) is None
