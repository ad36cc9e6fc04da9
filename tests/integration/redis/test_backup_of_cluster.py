"""A Redis Cluster is backed up from all its masters, drilled, and restored key by key to where each belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.backups import Invoke, Site, make_site
from tests.support.redis_topologies import RedisCluster

pytestmark = pytest.mark.redis


@pytest.fixture
def site(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str, cluster: RedisCluster
) -> Site:
    """Sessions and counters in a cluster."""
    cluster.flush()
    site = make_site(invoke, monkeypatch, tmp_path, sqlite_url, "simorgh", cluster.url)
    assert invoke("migrate", "--yes").exit_code == 0
    return site


EXPIRING = "db0:{general:202501}:session:G-202501-000001"


def fill(cluster: RedisCluster) -> None:
    """Keys of several kinds, as chatctl names them on a cluster, in slots of all three masters."""
    for month in range(202501, 202513):
        tag = f"{{general:{month}}}"
        for number in range(1, 6):
            session = f"G-{month}-{number:06d}"
            record = f'{{"chat_id": "{session}", "user_id": "u1"}}'
            for key in (f"db1:{tag}:chat:{session}:metadata", f"db0:{tag}:session:{session}"):
                cluster.node_of(key).set(key, record)
            history = f"db1:{tag}:chat:history:{session}"
            cluster.node_of(history).rpush(history, "one", "two")
        counter = f"db0:{tag}:session:counter:general:{month}"
        cluster.node_of(counter).set(counter, 5 + month % 100)
    cluster.node_of(EXPIRING).expire(EXPIRING, 3600)
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

    with cluster.nodes[0].connect() as client:
        version = int(client.info("server")["redis_version"].partition(".")[0])
    # Where there is no other, the one that a package brings is older than pausing needs.
    created = site("create", "--drill", *(("--pause-writes", "200") if version >= 7 else ()))
    counters = {f"general:{month}": 5 + month % 100 for month in range(202501, 202513)}
    assert (created["redis"]["keys"], created["redis"]["counters"]) == (len(before), counters)
    assert created["drill"]["ok"], created["drill"]["checks"]
    cluster.flush()
    site.restore(created["id"])

    assert content(cluster) == before
    assert cluster.node_of(EXPIRING).ttl(EXPIRING) > 3000
    assert not cluster.node_of("chatctl:guard").exists("chatctl:guard")


def test_a_clusters_backup_is_not_restored_into_a_single_server(
    site: Site, cluster: RedisCluster, redis_url: str
) -> None:
    fill(cluster)
    backup = site.create()

    (error,) = site.restore(backup, "--into-redis", redis_url, expected=4)

    assert "named differently" in error["message"]
