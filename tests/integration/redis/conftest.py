"""What the tests of sessions, counters and permissions share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.creators import close_databases
from tests.support.redis_topologies import RedisCluster, topology


@pytest.fixture(autouse=True)
def _databases_closed() -> Iterator[None]:
    yield
    close_databases()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    """A cluster of three masters."""
    with topology(RedisCluster) as started:
        yield started


@pytest.fixture(params=["single", pytest.param("cluster", marks=pytest.mark.redis)])
def any_redis_url(request: pytest.FixtureRequest) -> str:
    """One server, then a cluster, with nothing in it."""
    if request.param == "single":
        return str(request.getfixturevalue("redis_url"))
    cluster: RedisCluster = request.getfixturevalue("cluster")
    cluster.flush()
    return cluster.url
