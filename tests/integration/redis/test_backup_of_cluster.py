"""A Redis Cluster is backed up from all its masters, drilled, and restored key by key to where each belongs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.backups import Invoke, Site, make_site
from tests.support.redis_topologies import RedisCluster, topology

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    """A cluster of three masters."""
    with topology(RedisCluster) as started:
        yield started


@pytest.fixture
def site(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str, cluster: RedisCluster
) -> Site:
    """Sessions and counters in a cluster."""
    cluster.flush()
    site = make_site(invoke, monkeypatch, tmp_path, sqlite_url, "simorgh", cluster.url)
    assert invoke("migrate", "--yes").exit_code == 0
    return site


def fill(cluster: RedisCluster) -> None:
    """Keys of several kinds, in slots of all three masters."""
    for number in range(1, 61):
        for key in (f"chat:G-202512-{number:06d}:metadata", f"session:G-202512-{number:06d}"):
            cluster.node_of(key).set(key, f'{{"chat_id": "G-202512-{number:06d}", "user_id": "u1"}}')
        history = f"chat:history:G-202512-{number:06d}"
        cluster.node_of(history).rpush(history, "one", "two")
    cluster.node_of("session:G-202512-000001").expire("session:G-202512-000001", 3600)
    cluster.node_of("session:counter:general:202512").set("session:counter:general:202512", 60)
    cluster.node_of("chatctl:guard").set("chatctl:guard", "of this server's life alone")


def content(cluster: RedisCluster) -> dict[str, Any]:
    """Every key with its value, chatctl's own left out."""
    found = {}
    for node in cluster.nodes:
        with node.connect(decode_responses=True) as client:
            for key in client.scan_iter():
                kind = client.type(key)
                if not key.startswith("chatctl:"):
                    found[key] = client.get(key) if kind == "string" else client.lrange(key, 0, -1)
    return found


def test_every_masters_keys_come_back_to_their_slots(site: Site, cluster: RedisCluster) -> None:
    fill(cluster)
    before = content(cluster)
    assert all(node.connect().dbsize() > 10 for node in cluster.nodes)

    created = site("create", "--drill", "--pause-writes", "200")
    assert (created["redis"]["keys"], created["redis"]["counters"]) == (len(before), {"general:202512": 60})
    assert created["drill"]["ok"], created["drill"]["checks"]
    cluster.flush()
    site.restore(created["id"])

    assert content(cluster) == before
    assert cluster.node_of("session:G-202512-000001").ttl("session:G-202512-000001") > 3000
    for node in cluster.nodes:
        with node.connect() as client:
            assert not client.exists("chatctl:guard")
