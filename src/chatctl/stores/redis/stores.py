"""The logical databases of Redis as one object: what wiring builds and services are handed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from chatctl.layouts.rules import RedisKey
from chatctl.stores.redis.census import Census, take_census
from chatctl.stores.redis.client import RedisServers
from chatctl.stores.redis.counters import RedisCounters
from chatctl.stores.redis.keys import Keys
from chatctl.stores.redis.permission_cache import PermissionCache
from chatctl.stores.redis.server import ServerFacts, read_facts
from chatctl.stores.redis.sessions import RedisSessions
from chatctl.stores.redis.snapshot import RedisSnapshot

#: The databases' numbers as a layout gives them.
_SESSIONS, _CHATS, _CACHE = 0, 1, 2


class RedisStores:
    """Counters, sessions and the permission cache behind `url`, under the names of a layout's `templates`.

    `chat_db` and `cache_db` overrule the layout's numbers, and the URL's own number that of the counters.

    A single server that stands in for a cluster is `named_as_cluster`.
    Nothing connects before the first use. Raises ConfigurationError where the URL can't be used.
    """

    def __init__(
        self,
        url: str,
        templates: Mapping[str, RedisKey],
        data_dir: Path,
        *,
        chat_db: int | None = None,
        cache_db: int | None = None,
        patience_seconds: float | None = None,
        named_as_cluster: bool = False,
    ) -> None:
        self.servers = RedisServers(url, data_dir, patience_seconds)
        given = {_SESSIONS: self.servers.address.database or None, _CHATS: chat_db, _CACHE: cache_db}
        overrides = {logical: number for logical, number in given.items() if number is not None}
        self.keys = Keys(templates, self.servers.clustered or named_as_cluster, overrides)

    @property
    def where(self) -> str:
        """Where Redis is, for messages."""
        return self.servers.where

    @property
    def clustered(self) -> bool:
        """Whether keys are named as on a cluster."""
        return self.keys.clustered

    @cached_property
    def counters(self) -> RedisCounters:
        """The counters."""
        return RedisCounters(self.servers, self.keys)

    @cached_property
    def sessions(self) -> RedisSessions:
        """The sessions."""
        return RedisSessions(self.servers, self.keys)

    @cached_property
    def permission_cache(self) -> PermissionCache:
        """The cached grants."""
        return PermissionCache(self.servers, self.keys)

    @cached_property
    def snapshot(self) -> RedisSnapshot:
        """Every key, for backups."""
        return RedisSnapshot(self.servers, self.keys)

    def census(self) -> Census:
        """A look at every chat."""
        return take_census(self.servers, self.keys)

    def facts(self) -> list[ServerFacts]:
        """How each server keeps its data."""
        return read_facts(self.servers)

    def ping(self) -> None:
        """Raises CannotConnectError, or whatever else keeps Redis from answering."""
        self.servers.attempt(lambda: self.servers.client().ping())

    def close(self) -> None:
        """Closes every connection and lets the embedded server go."""
        self.servers.close()
