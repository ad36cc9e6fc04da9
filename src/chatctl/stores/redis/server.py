"""How the Redis servers are set up, as far as counters depend on it."""

from __future__ import annotations

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
