"""No session number is ever issued twice, whatever happens to the counters meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.creators import (
    GENERAL,
    PROJECTS,
    SCOPES,
    Created,
    Forgetful,
    draft,
    high_water,
    numbers_by_scope,
    stores,
    swarm,
)
from tests.support.redis_server import RedisServer

from chatctl.domain.counters import CounterState
from chatctl.domain.session_ids import MAX_NUMBER, parse_session
from chatctl.errors import IntegrityError
from chatctl.services.counters.issuing import Issuer
from chatctl.stores.redis.stores import RedisStores

log = logging.getLogger(__name__)

SMALL = {"processes": 4, "sessions": 240}
FULL = {"processes": 64, "sessions": 64 * 782}


def _delete_counter(client: Any, counter: str, guard: str) -> None:
    client.delete(counter)


def _set_back(client: Any, counter: str, guard: str) -> None:
    client.set(counter, 0)


def _evict_both(client: Any, counter: str, guard: str) -> None:
    client.delete(counter)
    client.delete(guard)


def _evict_guard(client: Any, counter: str, guard: str) -> None:
    client.delete(guard)


#: What is done to each scope's counter, again and again, while sessions are created.
DISASTERS: dict[str, Callable[[Any, str, str], None]] = {
    "the counter is deleted": _delete_counter,
    "the counter is set back": _set_back,
    "counter and guard are evicted": _evict_both,
    "the guard is evicted": _evict_guard,
}


def disturber(url: str, disaster: str, every_seconds: float = 0.02) -> Callable[[threading.Event], None]:
    def disturb(over: threading.Event) -> None:
        redis = stores(url)
        while not over.wait(every_seconds):
            for scope in SCOPES:
                counter, guard = redis.keys.counter(scope).name, redis.keys.guard(scope).name
                DISASTERS[disaster](redis.servers.client(), counter, guard)
        redis.close()

    return disturb


def assert_all_distinct_and_intact(url: str, created: list[Created], *, gapless: bool = True) -> None:
    redis = stores(url)
    assert len({item.id for item in created}) == len(created)
    if gapless:
        for scope, numbers in numbers_by_scope(created).items():
            assert numbers == list(range(1, len(numbers) + 1)), scope
    found = {item.id: item for item in redis.sessions.summaries([parse_session(item.id) for item in created])}
    assert {item.id: item.user for item in created} == {text: item.fields["user_id"] for text, item in found.items()}
    indexed = {str(session) for user in {item.user for item in created} for session in redis.sessions.ids_of(user)}
    assert indexed == set(found)
    redis.close()


def test_processes_that_create_together_get_distinct_ids_without_gaps(any_redis_url: str, sqlite_url: str) -> None:
    created = swarm(any_redis_url, sqlite_url, **SMALL)
    assert len(created) == SMALL["sessions"]
    assert_all_distinct_and_intact(any_redis_url, created)


@pytest.mark.parametrize(
    ("disaster", "any_redis_url"),
    [*((disaster, "single") for disaster in DISASTERS), ("counter and guard are evicted", "cluster")],
    indirect=["any_redis_url"],
)
def test_ids_stay_distinct_while_counters_are_lost(disaster: str, any_redis_url: str, sqlite_url: str) -> None:
    created = swarm(any_redis_url, sqlite_url, **SMALL, disturb=disturber(any_redis_url, disaster))
    assert len(created) == SMALL["sessions"]
    assert_all_distinct_and_intact(any_redis_url, created)


def test_the_old_way_of_creating_does_issue_numbers_twice(redis_url: str, sqlite_url: str) -> None:
    disturb = disturber(redis_url, "the counter is deleted")
    created = swarm(redis_url, sqlite_url, **SMALL, way="naive", disturb=disturb)
    assert len({item.id for item in created}) < len(created)


@pytest.mark.slow
@pytest.mark.mysql
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("disaster", [None, *DISASTERS])
def test_fifty_thousand_sessions_of_64_processes(disaster: str | None, any_redis_url: str, mariadb_url: str) -> None:
    # Of so many who take turns nobody would have one before the fence falls again, fifty times a second.
    disturb = disturber(any_redis_url, disaster, every_seconds=5) if disaster else None
    created = swarm(any_redis_url, mariadb_url, **FULL, disturb=disturb)
    assert len(created) == FULL["sessions"]
    assert_all_distinct_and_intact(any_redis_url, created)
    log.info("%s, %s: %d sessions, all distinct and intact", any_redis_url.partition(":")[0], disaster, len(created))


# --- one at a time ------------------------------------------------------------------------------------------


@pytest.fixture
def redis(redis_url: str) -> Iterator[RedisStores]:
    opened = stores(redis_url)
    yield opened
    opened.close()


def test_a_server_that_evicts_whatever_it_holds_issues_no_number_twice(own_redis: RedisServer, sqlite_url: str) -> None:
    marks = high_water(sqlite_url)
    redis = stores(own_redis.url)
    issuer, server = Issuer(redis.counters, marks), redis.servers.client(0)
    server.config_set("maxmemory-policy", "allkeys-random")
    server.config_set("maxmemory", server.info("memory")["used_memory"] + 2_000_000)
    issued, lost = [], 0
    for number in range(160):
        server.set(f"filler:{number}", "x" * 40_000)
        counter = redis.keys.counter(SCOPES[number % 4]).name
        lost += number >= 4 and not server.exists(counter)
        issued.append(str(issuer.create(draft(SCOPES[number % 4], "jane"))))
    redis.close()
    assert len(set(issued)) == len(issued)
    assert lost, "no counter was evicted"


def test_a_session_that_was_deleted_does_not_free_its_number(redis: RedisStores, sqlite_url: str) -> None:
    issuer = Issuer(redis.counters, high_water(sqlite_url))
    first = issuer.create(draft(GENERAL, "jane"))
    redis.servers.client(0).flushall()
    assert str(first) == "G-202512-000001"
    assert str(issuer.create(draft(GENERAL, "jane"))) == "G-202512-000002"


def test_sessions_that_others_created_are_counted_past(redis: RedisStores, sqlite_url: str) -> None:
    chats = redis.servers.client(1)
    chats.set("chat:P-AB-CD-000041:metadata", '{"chat_id": "P-AB-CD-000041"}')
    chats.rpush("chat:history:P-AB-CD-000077", "{}")
    issuer = Issuer(redis.counters, high_water(sqlite_url))
    assert str(issuer.create(draft(PROJECTS[2], "jane"))) == "P-AB-CD-000078"


def test_a_record_in_the_way_raises_the_counter_above_every_record(redis: RedisStores, sqlite_url: str) -> None:
    issuer = Issuer(redis.counters, high_water(sqlite_url))
    issuer.create(draft(GENERAL, "jane"))
    chats = redis.servers.client(1)
    for number in (2, 9):
        chats.set(f"chat:G-202512-{number:06d}:metadata", '{"user_id": "john"}')
    assert str(issuer.create(draft(GENERAL, "jane"))) == "G-202512-000010"
    assert chats.get("chat:G-202512-000002:metadata") == '{"user_id": "john"}'


def test_asking_again_after_a_lost_answer_creates_nothing_more(redis: RedisStores, sqlite_url: str) -> None:
    issuer = Issuer(redis.counters, high_water(sqlite_url))
    asked = draft(GENERAL, "jane")
    assert issuer.create(asked) == issuer.create(asked)
    assert len(redis.sessions.ids_of("jane")) == 1


def test_asking_again_after_redis_lost_the_session_counts_anew(redis: RedisStores, sqlite_url: str) -> None:
    """An eviction may spare the request alone: by then its number can be somebody else's."""
    asked, fences = draft(GENERAL, "jane"), ["first", "second"]
    redis.counters.take_over(GENERAL, fences[0], 0)
    assert redis.counters.create(asked).number == 1
    session = "G-202512-000001"
    redis.servers.client(1).delete(f"chat:{session}:metadata")
    redis.servers.client(0).delete(redis.keys.counter(GENERAL).name, redis.keys.guard(GENERAL).name)
    redis.counters.take_over(GENERAL, fences[1], 0)
    assert redis.counters.create(draft(GENERAL, "john")).number == 1
    assert redis.counters.create(asked).number == 2


def test_asking_again_after_a_takeover_counts_the_session_that_is_there(redis: RedisStores) -> None:
    asked = draft(GENERAL, "jane")
    for fence in ("first", "second"):
        redis.counters.take_over(GENERAL, fence, 0)
        redis.servers.client(0).set(redis.keys.counter(GENERAL).name, 0)
        redis.servers.client(0).hset(redis.keys.guard(GENERAL).name, "last", 0)
        assert redis.counters.create(asked).number == 1
    assert redis.counters.counted(GENERAL, "second") == 1


def test_a_counter_that_is_no_number_is_an_error_and_stays_as_it_is(redis: RedisStores, sqlite_url: str) -> None:
    counters = redis.servers.client(0)
    for wrong in ("abc", "-5", "12.5", "0012", str(MAX_NUMBER + 1), ""):
        counters.set("session:counter:general:202512", wrong)
        with pytest.raises(IntegrityError, match="holds no number"):
            Issuer(redis.counters, high_water(sqlite_url)).create(draft(GENERAL, "jane"))
        assert counters.get("session:counter:general:202512") == wrong
    assert list(redis.sessions.ids()) == []


def test_a_key_of_another_type_is_an_error_and_stays_as_it_is(redis: RedisStores, sqlite_url: str) -> None:
    redis.servers.client(0).rpush("session:counter:general:202512", "a list")
    with pytest.raises(IntegrityError):
        Issuer(redis.counters, high_water(sqlite_url)).create(draft(GENERAL, "jane"))
    assert redis.servers.client(0).lrange("session:counter:general:202512", 0, -1) == ["a list"]


def test_a_counter_at_its_end_issues_nothing(redis: RedisStores, sqlite_url: str) -> None:
    redis.servers.client(0).set("session:counter:general:202512", MAX_NUMBER - 1)
    issuer = Issuer(redis.counters, high_water(sqlite_url))
    assert issuer.create(draft(GENERAL, "jane")).number == MAX_NUMBER
    with pytest.raises(IntegrityError, match="reached"):
        issuer.create(draft(GENERAL, "jane"))


def test_numbers_grow_past_six_digits(redis: RedisStores, sqlite_url: str) -> None:
    redis.servers.client(0).set("session:counter:general:202512", 999_998)
    issuer = Issuer(redis.counters, high_water(sqlite_url))
    ids = [str(issuer.create(draft(GENERAL, "jane"))) for _ in range(3)]
    assert ids == ["G-202512-999999", "G-202512-1000000", "G-202512-1000001"]


def test_a_counter_that_expires_is_made_to_last(redis: RedisStores, sqlite_url: str) -> None:
    redis.servers.client(0).set("session:counter:general:202512", 7, ex=60)
    Issuer(redis.counters, high_water(sqlite_url)).create(draft(GENERAL, "jane"))
    (reading,) = redis.counters.read([GENERAL])
    assert (reading.number, reading.state(8)) == (8, CounterState.OK)


def test_without_the_durable_marks_a_lost_redis_issues_numbers_again(redis: RedisStores) -> None:
    issuer = Issuer(redis.counters, Forgetful())  # type: ignore[arg-type]  # the negative control's stand-in
    first = issuer.create(draft(GENERAL, "jane"))
    redis.servers.client(0).flushall()
    assert issuer.create(draft(GENERAL, "john")) == first
