"""The one client factory: a URL becomes clients of one server, Sentinel, a cluster or the embedded server.

Nothing connects before the first command. Nothing outside this package sees a class of the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import redis
from redis.backoff import ExponentialBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from chatctl.stores.redis import failures
from chatctl.stores.redis.address import Address, Topology, parse_address
from chatctl.stores.redis.embedded import EmbeddedRedis

#: A client of the driver. It annotates every answer as "a value or an awaitable", which helps no caller, and its
#: cluster client shares the commands but no base class.
Client: TypeAlias = Any
T = TypeVar("T")

_TIMEOUT_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
_RETRIES = 2
_BACKOFF = ExponentialBackoff(cap=0.5, base=0.05)
#: How long a failover may take before a command gives up.
_FAILOVER_SECONDS = 20.0

# Lossless: bytes that are no UTF-8 come back as they were when they are written again.
_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "encoding_errors": "surrogateescape",
    "socket_timeout": _TIMEOUT_SECONDS,
    "socket_connect_timeout": _CONNECT_SECONDS,
    "client_name": "chatctl",
}


class RedisServers:
    """The servers behind `url`; `embedded` stands for the one in `data_dir`.

    `patience_seconds` is how long an answer may take, where somebody waits who would rather have none.
    """

    def __init__(self, url: str, data_dir: Path, patience_seconds: float | None = None) -> None:
        self.address: Address = parse_address(url)
        self._retries = _RETRIES if patience_seconds is None else 0
        self._options = dict(_OPTIONS)
        if patience_seconds is not None:
            self._options |= {"socket_timeout": patience_seconds, "socket_connect_timeout": patience_seconds}
        self._embedded = EmbeddedRedis(data_dir / "redis")
        self._socket: str | None = None
        self._clients: dict[int, Client] = {}

    @property
    def where(self) -> str:
        """Where they are, for messages."""
        return self.address.where

    @property
    def clustered(self) -> bool:
        """Whether there is one database and keys live in slots."""
        return self.address.topology is Topology.CLUSTER

    def client(self, number: int = 0) -> Client:
        """A client of database `number` (a cluster has only 0)."""
        if number not in self._clients:
            with self.translating():
                self._clients[number] = self._make(number)
        return self._clients[number]

    def masters(self, number: int = 0) -> Iterator[Client]:
        """A client of each server that holds keys: one, or every master of the cluster."""
        client = self.client(number)
        if not isinstance(client, RedisCluster):
            yield client
            return
        with self.translating():
            cluster: Any = client
            for node in cluster.get_primaries():
                yield cluster.get_redis_connection(node)

    def attempt(self, work: Callable[[], T]) -> T:
        """What `work` returns; while a new master is being chosen, `work` is tried again.

        `work` must be safe to repeat after it has been carried out unseen. Raises chatctl's errors.
        """
        with self.translating():
            if self.address.topology not in (Topology.SENTINEL, Topology.CLUSTER):
                return work()
            tries = Retrying(
                retry=retry_if_exception(_may_pass),
                stop=stop_after_delay(_FAILOVER_SECONDS),
                wait=wait_random_exponential(multiplier=0.05, max=1.0),
                reraise=True,
            )
            return tries(work)

    def translating(self) -> AbstractContextManager[None]:
        """Raises the driver's errors as chatctl's."""
        return failures.translating(self.where)

    def revive(self) -> None:
        """Starts the embedded server again where it has died; other servers are their keepers' affair."""
        if self._socket is not None:
            self._embedded.release()
            self._socket = self._embedded.acquire()

    def close(self) -> None:
        """Closes every connection and lets the embedded server go."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self._socket is not None:
            self._socket = None
            self._embedded.release()

    def _make(self, number: int) -> Client:
        retry = Retry(_BACKOFF, self._retries)
        makers: dict[Topology, Callable[[int, Retry], Client]] = {
            Topology.SINGLE: self._single,
            Topology.EMBEDDED: self._from_socket,
            Topology.SENTINEL: self._sentinel,
            Topology.CLUSTER: self._cluster,
        }
        return makers[self.address.topology](number, retry)

    def _single(self, number: int, retry: Retry) -> Client:
        try:
            client = redis.Redis.from_url(self.address.url, retry=retry, **self._options)
        except (ValueError, TypeError) as problem:
            raise failures.unusable_url(problem) from None
        # The URL's own number would win over an argument.
        client.connection_pool.connection_kwargs["db"] = number
        return client

    def _from_socket(self, number: int, retry: Retry) -> Client:
        if self._socket is None:
            self._socket = self._embedded.acquire()
        return redis.Redis(unix_socket_path=self._socket, db=number, retry=retry, **self._options)

    def _sentinel(self, number: int, retry: Retry) -> Client:
        address = self.address
        sentinel_options = {
            "socket_timeout": _CONNECT_SECONDS,
            "username": address.options.get("sentinel_user"),
            "password": address.options.get("sentinel_password"),
            "ssl": address.tls,
        }
        # The driver's Sentinel and ClusterNode are not annotated.
        sentinel: Any = Sentinel(list(address.hosts), sentinel_kwargs=sentinel_options)  # type: ignore[no-untyped-call]
        return sentinel.master_for(
            address.service,
            db=number,
            retry=retry,
            username=address.user,
            password=address.password,
            ssl=address.tls,
            redis_connect_func=_meet_master,
            **self._options,
        )

    def _cluster(self, number: int, retry: Retry) -> Client:
        address = self.address
        options: dict[str, Any] = {**self._options, **({"ssl": True} if address.tls else {})}
        nodes = [ClusterNode(host, port) for host, port in address.hosts]  # type: ignore[no-untyped-call]
        return RedisCluster(
            startup_nodes=nodes,
            retry=retry,
            username=address.user,
            password=address.password,
            **options,
        )


def _meet_master(connection: Any) -> None:
    """Goes on with a new connection only if the other end is a master.

    While a failover ends, Sentinel may still name the old one, which would answer with what it had.
    """
    connection.on_connect()
    connection.send_command("ROLE")
    role = connection.read_response()[0]
    if role not in ("master", b"master"):
        raise redis.ConnectionError(f"{connection.host}:{connection.port} is no master any more")


def _may_pass(problem: BaseException) -> bool:
    return isinstance(problem, failures.PASSING) and not isinstance(problem, failures.LASTING)
