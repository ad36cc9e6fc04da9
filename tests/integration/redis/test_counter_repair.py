"""Checking and repairing counters while others count by them."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as driver
from tests.support.creators import GENERAL, PROJECTS, draft, high_water, stores
from tests.support.redis_topologies import RedisCluster

from chatctl.domain.result import Outcome
from chatctl.domain.session_ids import Scope
from chatctl.errors import UsageError
from chatctl.services.counters import checking, repairing
from chatctl.services.counters.issuing import Issuer
from chatctl.services.counters.repairing import RepairRequest
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.sql.high_water import SqlHighWater

log = logging.getLogger(__name__)

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


# --- repairing beside writers -------------------------------------------------------------------------------

_INCREMENT = """
import sys, redis
client = redis.Redis.from_url(sys.argv[1], decode_responses=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    client.incr(sys.argv[2])
"""

#: How a counter is raised: the store, its scope, the number.
Raiser = Callable[[RedisStores, SqlHighWater, str, int], None]


def by_repair(redis: RedisStores, marks: SqlHighWater, key: str, ahead: int) -> None:
    """`counters repair`, after a session with that number has appeared."""
    session = GENERAL.id(ahead)
    redis.servers.client(1).set(redis.keys.session("chat_metadata", session).name, "{}")
    assert repair(redis, marks).outcome is Outcome.DONE


def by_reading_then_writing(redis: RedisStores, marks: SqlHighWater, key: str, ahead: int) -> None:
    """As a script of one's own would do it."""
    client = redis.servers.client(0)
    before, deadline = int(client.get(key) or 0), time.monotonic() + 2
    while int(client.get(key) or 0) < before + 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    client.set(key, before + 1)


class Watch:
    """Every value of one counter, by the server's own account of each command that it carried out (MONITOR)."""

    def __init__(self, server: driver.Redis, key: str) -> None:
        self.value = self.increments = self.falls = self.raises = 0
        self._key = key
        self._monitor = server.monitor().__enter__()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        for seen in self._monitor.listen():
            words = seen["command"].split(" ")
            if words[0] == "ECHO":
                return
            if len(words) < 2 or words[1] != self._key:
                continue
            if words[0].upper() == "INCRBY":  # as the driver puts INCR
                self.increments += 1
                self.value += int(words[2])
            elif words[0].upper() in ("SET", "DEL"):
                number = int(words[2]) if words[0].upper() == "SET" else 0
                self.falls += number < self.value
                self.raises += number > self.value
                self.value = number

    def close(self, server: driver.Redis) -> None:
        """Follows until now."""
        server.echo("over")
        self._thread.join()
        self._monitor.__exit__()


def raised_beside_writers(
    url: str, server: driver.Redis, marks: SqlHighWater, raiser: Raiser, writers: int, increments: int
) -> Watch:
    """What was seen of a counter that processes increment while it is raised to numbers ahead of them."""
    redis = stores(url)
    key = redis.keys.counter(GENERAL).name
    watch = Watch(server, key)
    port = server.connection_pool.connection_kwargs["port"]
    command = [sys.executable, "-c", _INCREMENT, f"redis://127.0.0.1:{port}/0", key, str(increments)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(writers)]
    for process in running:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.close()
    while any(process.poll() is None for process in running):
        raiser(redis, marks, key, watch.value + max(10, increments // 4))
    assert [process.wait() for process in running] == [0] * writers
    watch.close(server)
    assert watch.value == int(server.get(key) or 0)
    assert watch.increments == writers * increments
    redis.close()
    return watch


def assert_it_never_falls(url: str, server: driver.Redis, marks: SqlHighWater, writers: int, increments: int) -> None:
    watch = raised_beside_writers(url, server, marks, by_repair, writers, increments)
    seen = (writers, watch.increments, watch.raises, watch.value, watch.falls)
    log.info("%d writers, %d increments: raised %d times, up to %d, fallen %d times", *seen)
    assert watch.falls == 0
    assert watch.raises > 2
    assert watch.value > writers * increments


@pytest.fixture
def server(any_redis_url: str, request: pytest.FixtureRequest) -> Iterator[driver.Redis]:
    """The server that holds the counter, by a client that waits for as long as it takes."""
    url = any_redis_url
    if "cluster" in url:
        cluster: RedisCluster = request.getfixturevalue("cluster")
        node = cluster.node_of(stores(url).keys.counter(GENERAL).name)
        url = f"redis://127.0.0.1:{node.connection_pool.connection_kwargs['port']}/0"
    with driver.Redis.from_url(url, decode_responses=True) as client:
        yield client


def test_no_counter_falls_while_it_is_repaired_beside_writers(
    any_redis_url: str, server: driver.Redis, marks: SqlHighWater
) -> None:
    assert_it_never_falls(any_redis_url, server, marks, writers=3, increments=1_000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_counter_falls_while_it_is_repaired_beside_32_writers(
    any_redis_url: str, server: driver.Redis, marks: SqlHighWater
) -> None:
    assert_it_never_falls(any_redis_url, server, marks, writers=32, increments=4_000)


@pytest.mark.parametrize("any_redis_url", ["single"], indirect=True)
def test_a_repair_that_reads_and_then_writes_does_let_a_counter_fall(
    any_redis_url: str, server: driver.Redis, marks: SqlHighWater
) -> None:
    assert raised_beside_writers(any_redis_url, server, marks, by_reading_then_writing, 3, 1_000).falls
