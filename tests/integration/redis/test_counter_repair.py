"""Checking and repairing counters while others count by them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.creators import GENERAL, PROJECTS, draft, high_water, stores

from chatctl.domain.result import Outcome
from chatctl.domain.session_ids import Scope
from chatctl.errors import UsageError
from chatctl.services.counters import checking, repairing
from chatctl.services.counters.issuing import Issuer
from chatctl.services.counters.repairing import RepairRequest
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.sql.high_water import SqlHighWater

KEY = "session:counter:general:202512"


@pytest.fixture
def redis(redis_url: str) -> Iterator[RedisStores]:
    opened = stores(redis_url)
    yield opened
    opened.close()


@pytest.fixture
def marks(sqlite_url: str) -> SqlHighWater:
    return high_water(sqlite_url)


@pytest.fixture
def sessions(redis: RedisStores, marks: SqlHighWater) -> list[str]:
    """Five sessions in each of two scopes."""
    issuer = Issuer(redis.counters, marks)
    return [str(issuer.create(draft(scope, "jane"))) for _ in range(5) for scope in (GENERAL, PROJECTS[0])]


def states(redis: RedisStores, marks: SqlHighWater) -> dict[str, str]:
    return {item["key"]: item["state"] for item in checking.check(redis, marks, ()).data["counters"]}


def rules(redis: RedisStores, marks: SqlHighWater) -> set[str]:
    return {item["rule"] for item in checking.check(redis, marks, ()).data["findings"]}


def repair(redis: RedisStores, marks: SqlHighWater, *scopes: Scope, **options: Any) -> Any:
    return repairing.repair(redis, marks, (), RepairRequest(scopes, **options))


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize(
    ("command", "state"),
    [
        (("DEL", KEY), "missing"),
        (("SET", KEY, "2"), "behind"),
        (("SET", KEY, "abc"), "invalid"),
        (("EXPIRE", KEY, "100"), "volatile"),
    ],
)
def test_each_way_a_counter_can_be_wrong_is_told(
    command: tuple[str, ...], state: str, redis: RedisStores, marks: SqlHighWater
) -> None:
    assert states(redis, marks)[KEY] == "ok"
    redis.servers.client(0).execute_command(*command)
    answer = checking.check(redis, marks, ())
    assert answer.outcome is Outcome.FINDINGS
    assert states(redis, marks) == {KEY: state, "session:counter:project:1": "ok"}
    assert f"counter_{state}" in rules(redis, marks)


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("command", [("DEL", KEY), ("SET", KEY, "2"), ("EXPIRE", KEY, "100")])
def test_repair_mends_it_and_then_the_check_finds_nothing(
    command: tuple[str, ...], redis: RedisStores, marks: SqlHighWater
) -> None:
    redis.servers.client(0).execute_command(*command)
    answer = repair(redis, marks)
    assert answer.outcome is Outcome.DONE
    assert redis.servers.client(0).get(KEY) == "5"
    assert checking.check(redis, marks, ()).outcome is Outcome.DONE
    assert repair(redis, marks).data["raised"] == []


@pytest.mark.usefixtures("sessions")
def test_a_text_that_is_no_count_is_replaced_only_where_a_number_is_named(
    redis: RedisStores, marks: SqlHighWater
) -> None:
    redis.servers.client(0).set(KEY, "abc")
    refused = repair(redis, marks)
    assert refused.outcome is Outcome.FINDINGS
    assert redis.servers.client(0).get(KEY) == "abc"
    answer = repair(redis, marks, GENERAL, to=7)
    assert answer.data["raised"] == [{"key": KEY, "from": "abc", "to": 7}]


@pytest.mark.usefixtures("sessions")
def test_a_number_below_the_highest_issued_is_refused(redis: RedisStores, marks: SqlHighWater) -> None:
    with pytest.raises(UsageError, match="below 5"):
        repair(redis, marks, GENERAL, to=4)
    assert redis.servers.client(0).get(KEY) == "5"


@pytest.mark.usefixtures("sessions")
def test_a_number_above_the_counter_raises_it_and_is_never_issued_again(
    redis: RedisStores, marks: SqlHighWater
) -> None:
    assert repair(redis, marks, GENERAL, to=50).data["raised"] == [{"key": KEY, "from": 5, "to": 50}]
    redis.servers.client(0).flushall()
    assert str(Issuer(redis.counters, marks).create(draft(GENERAL, "jane"))) == "G-202512-000051"


@pytest.mark.usefixtures("sessions")
def test_a_dry_run_says_what_would_be_raised_and_changes_nothing(redis: RedisStores, marks: SqlHighWater) -> None:
    redis.servers.client(0).set(KEY, 2)
    answer = repair(redis, marks, dry_run=True)
    assert answer.data["raised"] == [{"key": KEY, "from": 2, "to": 5}]
    assert redis.servers.client(0).get(KEY) == "2"


@pytest.mark.usefixtures("sessions")
def test_what_redis_has_lost_is_known_from_sql(redis: RedisStores, marks: SqlHighWater) -> None:
    redis.servers.client(0).flushall()
    answer = checking.check(redis, marks, ()).data["counters"]
    assert [(item["max_issued_redis"], item["max_issued_sql"], item["state"]) for item in answer] == [
        (None, 5, "missing"),
        (None, 5, "missing"),
    ]


def test_records_that_lie_about_themselves_are_found(redis: RedisStores, marks: SqlHighWater) -> None:
    chats = redis.servers.client(1)
    chats.set("chat:G-202512-000001:metadata", '{"chat_id": "G-202512-000002", "user_id": "jane"}')
    chats.rpush("chat:G-202512-000003:metadata", "a list")
    redis.servers.client(0).set("session:counter:general:202513", 4)
    assert rules(redis, marks) >= {"record_misnamed", "record_wrong_type", "counter_unknown", "counter_missing"}


def test_a_server_that_may_forget_counters_is_found(own_redis: Any, marks: SqlHighWater) -> None:
    with own_redis.connect() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
    redis = stores(own_redis.url)
    assert rules(redis, marks) == {"eviction_policy", "no_persistence"}
    redis.close()


def test_a_session_that_two_users_hold_is_shown_with_what_is_left_of_each(
    redis: RedisStores, marks: SqlHighWater
) -> None:
    chats = redis.servers.client(1)
    record = '{"chat_id": "G-202512-000001", "user_id": "john", "created_at": "2025-12-03T11:00:00"}'
    chats.set("chat:G-202512-000001:metadata", record)
    chats.sadd("user:jane:chats:general", "G-202512-000001")
    chats.sadd("user:john:chats:general", "G-202512-000001")
    for user, minute in (("jane", 1), ("jane", 2), ("john", 3)):
        chats.rpush(
            "chat:history:G-202512-000001", f'{{"user_id": "{user}", "timestamp": "2025-12-03T11:0{minute}:00"}}'
        )
    answer = checking.check(redis, marks, ()).data
    (collision,) = answer["collisions"]
    assert collision["owner"] == "john"
    assert collision["created_at"] == "2025-12-03T11:00:00Z"
    assert collision["users"] == [
        {
            "user": "jane", "has_record": False, "messages": 2,
            "first_at": "2025-12-03T11:01:00Z", "last_at": "2025-12-03T11:02:00Z",
        },
        {
            "user": "john", "has_record": True, "messages": 1,
            "first_at": "2025-12-03T11:03:00Z", "last_at": "2025-12-03T11:03:00Z",
        },
    ]  # fmt: skip
    assert "session_claimed_twice" in {item["rule"] for item in answer["findings"]}


def test_a_shared_session_is_no_collision(redis: RedisStores, marks: SqlHighWater) -> None:
    chats = redis.servers.client(1)
    chats.set("chat:G-202512-000001:metadata", '{"user_id": "john", "allowed_users": ["jane"]}')
    chats.sadd("user:jane:chats:all", "G-202512-000001")
    chats.sadd("user:john:chats:all", "G-202512-000001")
    assert checking.check(redis, marks, ()).data["collisions"] == []


def repair_beside_writers(redis_url: str, marks: SqlHighWater, writers: int, increments: int) -> None:
    """Writers increment, a repairer repairs to numbers ahead of them, a monitor watches."""
    over = threading.Event()
    falls: list[tuple[int, int]] = []

    def write() -> None:
        redis = stores(redis_url)
        for _ in range(increments):
            redis.servers.client(0).incr(KEY)
        redis.close()

    def watch() -> None:
        redis, before = stores(redis_url), 0
        while not over.is_set():
            now = int(redis.servers.client(0).get(KEY) or 0)
            if now < before:
                falls.append((before, now))
            before = now
        redis.close()

    redis = stores(redis_url)
    threads = [threading.Thread(target=write) for _ in range(writers)]
    monitor = threading.Thread(target=watch)
    for thread in (*threads, monitor):
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ahead = int(redis.servers.client(0).get(KEY) or 0) + 10
        redis.servers.client(1).set(f"chat:G-202512-{ahead:06d}:metadata", "{}")
        assert repair(redis, marks).outcome is Outcome.DONE
    over.set()
    monitor.join()
    assert falls == []
    assert int(redis.servers.client(0).get(KEY)) >= writers * increments
    redis.close()


def test_no_counter_falls_while_it_is_repaired_beside_writers(redis_url: str, marks: SqlHighWater) -> None:
    repair_beside_writers(redis_url, marks, writers=4, increments=200)


@pytest.mark.slow
def test_no_counter_falls_while_it_is_repaired_beside_32_writers(redis_url: str, marks: SqlHighWater) -> None:
    repair_beside_writers(redis_url, marks, writers=32, increments=2_000)
