"""A lagging replica is promoted: Redis goes back in time, and no number is issued twice for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from tests.support.creators import GENERAL, PROJECTS, Forgetful, draft, high_water, stores
from tests.support.redis_topologies import Watched, topology

from chatctl.domain.result import Outcome
from chatctl.services.counters import checking, repairing
from chatctl.services.counters.issuing import Issuer
from chatctl.stores.redis.stores import RedisStores

log = logging.getLogger(__name__)

pytestmark = pytest.mark.redis

SCOPES = (GENERAL, PROJECTS[0])
A_ROUND = 5


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with topology(Watched) as servers:
        yield servers


@pytest.fixture
def redis(watched: Watched) -> Iterator[RedisStores]:
    opened = stores(watched.url)
    opened.servers.client(0).flushall()
    watched.wait_for_replica()
    yield opened
    opened.close()


def create(issuer: Issuer, count: int) -> list[str]:
    return [str(issuer.create(draft(scope, "jane"))) for _ in range(count) for scope in SCOPES]


def lose_what_comes(watched: Watched, issuer: Issuer) -> list[str]:
    """Creates sessions that the replica never hears of, then promotes it."""
    watched.cut_replica_off()
    lost = create(issuer, A_ROUND)
    watched.fail_over()
    return lost


def fail_over_again_and_again(watched: Watched, redis: RedisStores, database_url: str, rounds: int) -> None:
    marks = high_water(database_url)
    issuer = Issuer(redis.counters, marks)
    created = create(issuer, A_ROUND)
    for number in range(rounds):
        created += lose_what_comes(watched, issuer)
        states = {item["key"]: item["state"] for item in checking.check(redis, marks, ()).data["counters"]}
        assert states == {redis.keys.counter(scope).name: "behind" for scope in SCOPES}
        if number % 2:
            repaired = repairing.repair(redis, marks, (), repairing.RepairRequest())
            assert len(repaired.data["raised"]) == len(SCOPES)
            assert checking.check(redis, marks, ()).outcome is Outcome.DONE
        created += create(issuer, A_ROUND)
        watched.wait_for_replica()
    assert len(set(created)) == len(created)
    log.info("%d promotions, each seen as two counters behind; %d IDs, none of them twice", rounds, len(created))


def test_a_lagging_replica_that_is_promoted_issues_no_number_again(
    watched: Watched, redis: RedisStores, sqlite_url: str
) -> None:
    fail_over_again_and_again(watched, redis, sqlite_url, 2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thirty_lagging_replicas_that_are_promoted_issue_no_number_again(
    watched: Watched, redis: RedisStores, sqlite_url: str
) -> None:
    fail_over_again_and_again(watched, redis, sqlite_url, 30)


def test_without_the_durable_marks_a_promoted_replica_does_issue_numbers_again(
    watched: Watched, redis: RedisStores
) -> None:
    issuer = Issuer(redis.counters, Forgetful())  # type: ignore[arg-type]  # the negative control's stand-in
    created = create(issuer, A_ROUND)
    for _ in range(3):  # on a busy machine a replica may hear of a round before it is cut off
        created += lose_what_comes(watched, issuer)
        created += create(issuer, A_ROUND)
        if len(set(created)) < len(created):
            log.info("without the marks %d of %d IDs were issued twice", len(created) - len(set(created)), len(created))
            return
        watched.wait_for_replica()
    pytest.fail("no number was issued again")
