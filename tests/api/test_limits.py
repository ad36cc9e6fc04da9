"""How often a caller may come: the headers of the sheet, and what happens without Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.api import Api, running_api
from tests.support.servers import RedisServer

from chatctl.domain.limits import Rule
from chatctl.stores.redis.client import RedisServers
from chatctl.stores.redis.limiter import Limiter

TEN = (Rule(10, 60), Rule(10, 1))


@pytest.fixture
def limited(native_url: str, redis_url: str, tmp_path: Path) -> Iterator[Api]:
    env = {"CHATCTL_SERVE_REQUESTS_PER_MINUTE": "10", "CHATCTL_SERVE_BURST_SIZE": "20"}
    with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as api:
        yield api


@pytest.fixture
def limiter(redis_url: str, tmp_path: Path) -> Iterator[Limiter]:
    servers = RedisServers(redis_url, tmp_path)
    yield Limiter(servers)
    servers.close()


def test_ten_a_minute_count_down_and_the_eleventh_is_refused(limited: Api) -> None:
    web = limited.client("lisa")
    answers = [web.get("/chat/chats") for _ in range(11)]
    assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers] == [*range(9, -1, -1), 0]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"10"}
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    last = answers[-1]
    assert set(last.json()) == {"error", "message", "retry_after"}
    assert 50 <= int(last.headers["Retry-After"]) <= 60
    assert abs(int(last.headers["X-RateLimit-Reset"]) - time.time() - 60) < 5
    assert web.get("/mentor/chats").status_code == 200, "another endpoint counts for itself"
    assert limited.client("otto").get("/chat/chats").status_code == 200, "another user counts for himself"
    assert web.get("/health").status_code == 200


def test_event_streams_have_limits_of_their_own(native_url: str, redis_url: str, tmp_path: Path) -> None:
    env = {"WS_RATE_LIMIT_PER_MINUTE": "3", "WS_MAX_CONNECTIONS": "1", "WS_HEARTBEAT_INTERVAL": "1"}
    with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as api:
        web, channel = api.client("lisa"), "/api/v1/events/content-generation"
        with web.stream("GET", channel) as stream:
            lines = (line for line in stream.iter_lines() if line)
            assert [next(lines), next(lines)] == [": listening", ": alive"]
            full = web.get(channel)
            assert (full.status_code, full.headers["Retry-After"]) == (503, "2")
        assert web.get("/api/v1/events/nothing").status_code == 404
        assert web.get(channel).status_code == 429


def test_requests_of_the_same_instant_all_count(limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    assert [limiter.acquire("x", TEN).allowed for _ in range(12)] == [True] * 10 + [False] * 2


def test_a_burst_is_bounded_by_the_second_and_passes(limiter: Limiter) -> None:
    rules = (Rule(60, 60), Rule(3, 1))
    assert [limiter.acquire("x", rules).allowed for _ in range(4)] == [True, True, True, False]
    time.sleep(1.1)
    verdict = limiter.acquire("x", rules)
    assert (verdict.allowed, verdict.remaining) == (True, 56)


def test_steady_traffic_below_the_limit_is_never_refused(limiter: Limiter) -> None:
    rules = (Rule(4, 1),)
    for _ in range(12):
        assert limiter.acquire("x", rules).allowed
        time.sleep(0.26)


def test_a_high_limit_is_taken_some_at_a_time_and_never_exceeded(limiter: Limiter) -> None:
    rules = (Rule(5_000, 60),)
    allowed = asked = 0
    for _ in range(6_000):
        verdict = limiter.leased("x", rules)
        if verdict is None:
            asked += 1
            verdict = limiter.acquire("x", rules)
        allowed += verdict.allowed
    assert 4_990 <= allowed <= 5_000
    assert asked < 2_100


@pytest.mark.redis
def test_without_redis_each_process_counts_for_itself(own_redis: RedisServer, tmp_path: Path) -> None:
    servers = RedisServers(own_redis.url, tmp_path, 1.0)
    limiter = Limiter(servers)
    assert limiter.acquire("x", TEN).remaining == 9
    own_redis.kill()
    verdicts = [limiter.acquire("x", TEN) for _ in range(12)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 10 + [False] * 2
    assert not limiter.is_shared
    own_redis.restart()
    deadline = time.monotonic() + 10
    while not (limiter.acquire("y", TEN).allowed and limiter.is_shared):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    servers.close()


def test_the_anonymous_user_is_counted_by_address(limited: Api) -> None:
    body = {"message": "hi", "project_id": "p-00000001", "chat_id": "chat-00000001"}
    body["user_id"] = "00000000-0000-4000-8000-000000000000"
    statuses = [httpx.post(f"{limited.url}/api/vscode_user_message", json=body).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
