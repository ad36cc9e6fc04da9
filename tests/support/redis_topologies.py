"""Several Redis servers as one: a cluster of three masters, and a master with a replica watched by Sentinel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import redis
from tests.support.processes import Server, ServerUnavailableError, free_port
from tests.support.redis_server import RedisServer, _program

_SLOTS = 16_384
_PATIENCE_SECONDS = 30.0
SERVICE = "chats"


class ClusterNode(RedisServer):
    """One master of a cluster. Its bus listens 10,000 ports higher, which must exist."""

    title = "Redis Cluster node"

    def _start_on_free_port(self) -> None:
        while not 1024 < (port := free_port()) < 55_000:
            continue
        self.port = port
        self.start()


class RedisCluster:
    """A cluster of three masters; a context manager that stops it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        settings = {"cluster-enabled": "yes", "cluster-node-timeout": "2000", "cluster-config-file": "nodes.conf"}
        try:
            self.nodes = [self._stack.enter_context(ClusterNode(settings)) for _ in range(3)]
            self._join()
        except BaseException:
            self._stack.close()
            raise

    @property
    def url(self) -> str:
        """`redis+cluster://…` with every node."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def flush(self) -> None:
        """Empties every node."""
        for node in self.nodes:
            with node.connect() as client:
                client.flushall()

    def node_of(self, key: str) -> redis.Redis:
        """A client of the node that holds `key`."""
        clients = [node.connect(decode_responses=True) for node in self.nodes]
        slot = clients[0].execute_command("CLUSTER", "KEYSLOT", key)
        return clients[min(slot * 3 // _SLOTS, 2)]

    def close(self) -> None:
        """Stops every node."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _join(self) -> None:
        clients = [node.connect(decode_responses=True) for node in self.nodes]
        bounds = [-(-_SLOTS * part // 3) for part in range(4)]
        for part, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTS", *range(bounds[part], bounds[part + 1]))
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", str(self.nodes[0].port))
        wait_until(lambda: all(client.cluster("info")["cluster_state"] == "ok" for client in clients))
        wait_until(lambda: all(client.cluster("info")["cluster_known_nodes"] == "3" for client in clients))


class SentinelServer(Server):
    """One Sentinel, which alone decides."""

    title = "Redis Sentinel"

    def __init__(self, master_port: int) -> None:
        self._master_port = master_port
        super().__init__()

    @property
    def url(self) -> str:
        """`redis+sentinel://…` of the watched service."""
        return f"redis+sentinel://127.0.0.1:{self.port}/{SERVICE}?db=0"

    def connect(self) -> redis.Redis:
        """A client of the Sentinel itself."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def _prepare(self) -> None:
        (self.data / "sentinel.conf").write_text(
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._master_port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 2000\n"
        )

    def _command(self) -> list[str]:
        return [_program(), str(self.data / "sentinel.conf"), "--port", str(self.port), "--sentinel"]

    def _probe(self) -> None:
        with self.connect() as client:
            client.ping()


class Watched:
    """A master, a replica, and a Sentinel that promotes the one when the other dies."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        try:
            self._servers = [self._stack.enter_context(RedisServer()) for _ in range(2)]
            with self._servers[1].connect() as client:
                client.replicaof("127.0.0.1", self._servers[0].port)
            self.sentinel = self._stack.enter_context(SentinelServer(self._servers[0].port))
        except BaseException:
            self._stack.close()
            raise
        self.wait_for_replica()

    @property
    def url(self) -> str:
        """`redis+sentinel://…`."""
        return self.sentinel.url

    @property
    def master(self) -> RedisServer:
        """The server that Sentinel calls the master."""
        with self.sentinel.connect() as client:
            _, port = client.sentinel_get_master_addr_by_name(SERVICE)
        return next(server for server in self._servers if server.port == int(port))

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        master = self.master
        return next(server for server in self._servers if server is not master)

    def cut_replica_off(self) -> None:
        """From now on the replica receives nothing; Sentinel still finds it fit to be promoted for a while."""
        with self.replica.connect() as client:
            client.replicaof("127.0.0.1", 1)

    def fail_over(self) -> None:
        """Kills the master, waits until the replica is promoted, and brings the old master back as its replica."""
        old, new = self.master, self.replica
        old.kill()
        wait_until(lambda: self.master is new and _role(new) == "master")
        old.start()
        with old.connect() as client:
            # Sentinel does the same, ten seconds later.
            client.replicaof("127.0.0.1", new.port)

    def wait_for_replica(self) -> None:
        """Waits until the replica has everything, and Sentinel knows it."""
        wait_until(lambda: _in_step(self.replica))
        wait_until(self._sentinel_sees_replica)

    def close(self) -> None:
        """Stops all three."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sentinel_sees_replica(self) -> bool:
        with self.sentinel.connect() as client:
            replicas = client.sentinel_slaves(SERVICE)
        return any(
            replica["port"] == self.replica.port and not (replica["is_sdown"] or replica["is_disconnected"])
            for replica in replicas
        )


def wait_until(holds: Callable[[], bool]) -> None:
    """Returns once `holds`; fails after half a minute. Errors on the way mean "not yet"."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if holds():
                return
        except (redis.RedisError, OSError, StopIteration, RuntimeError) as problem:
            last: Any = problem
        else:
            last = "it just doesn't hold"
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_PATIENCE_SECONDS:.0f} s in vain: {last}")
        time.sleep(0.05)


def _role(server: RedisServer) -> str:
    with server.connect(decode_responses=True) as client:
        return str(client.role()[0])


def _in_step(server: RedisServer) -> bool:
    with server.connect(decode_responses=True) as client:
        info = client.info("replication")
    return info["role"] == "slave" and info["master_link_status"] == "up"


@contextmanager
def topology(kind: type[RedisCluster] | type[Watched]) -> Iterator[Any]:
    """A topology of the tests' own; skips, or fails where Redis is required, if there can be none."""
    from tests.support.servers import without

    try:
        made = kind()
    except ServerUnavailableError as problem:
        without("redis", str(problem))
    with made:
        yield made
