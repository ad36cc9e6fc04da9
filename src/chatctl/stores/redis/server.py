"""How the Redis servers are set up, as far as counters depend on it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from redis.exceptions import ResponseError

from chatctl.stores.redis.client import Client, RedisServers


@dataclass(frozen=True)
class ServerFacts:
    """One server's settings; `save_points` is None where the server doesn't tell."""

    where: str
    eviction_policy: str
    append_only: bool
    save_points: str | None

    @property
    def persistent(self) -> bool:
        """Whether anything survives a restart."""
        return self.append_only or self.save_points is None or bool(self.save_points)


def read_facts(servers: RedisServers) -> list[ServerFacts]:
    """The settings of every server that holds keys."""
    return [servers.attempt(partial(_facts, servers, client)) for client in servers.masters()]


def _facts(servers: RedisServers, client: Client) -> ServerFacts:
    memory, persistence = client.info("memory"), client.info("persistence")
    connection = client.connection_pool.connection_kwargs
    where = f"{connection['host']}:{connection['port']}" if servers.clustered else servers.where
    return ServerFacts(
        where,
        str(memory.get("maxmemory_policy", "unknown")),
        bool(persistence.get("aof_enabled")),
        _save_points(client),
    )


def _save_points(client: Client) -> str | None:
    try:
        answer: dict[str, str] = client.config_get("save")
    except ResponseError:
        # Hosted servers deny CONFIG; INFO doesn't show this setting.
        return None
    return answer.get("save")


@dataclass(frozen=True)
class ServerVitals:
    """One server's version, how far its clock is ahead of this machine's, and how it is reached."""

    where: str
    version: str
    ahead_seconds: float
    local: bool
    encrypted: bool


def read_vitals(servers: RedisServers) -> list[ServerVitals]:
    """The vitals of every server that holds keys."""
    return [servers.attempt(partial(_vitals, servers, client)) for client in servers.masters()]


def _vitals(servers: RedisServers, client: Client) -> ServerVitals:
    connection = client.connection_pool.connection_kwargs
    before = time.time()
    seconds, microseconds = client.time()
    middle = (before + time.time()) / 2
    host = connection.get("host")
    return ServerVitals(
        f"{host}:{connection['port']}" if servers.clustered else servers.where,
        str(client.info("server").get("redis_version", "0")),
        seconds + microseconds / 1_000_000 - middle,
        host is None or host in ("localhost", "127.0.0.1", "::1"),
        servers.address.tls,
    )
