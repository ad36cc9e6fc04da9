"""`chatctl counters`, as an engineer on call runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.support import schemas
from tests.support.cli import Completed

Invoke = Callable[..., Completed]

KEY = "session:counter:general:202512"


@pytest.fixture
def counters(invoke: Invoke, redis_url: str, tmp_path: Path) -> Invoke:
    """Runs `chatctl counters …` and checks the answer against its schema."""
    database = f"sqlite:///{tmp_path / 'chat.db'}"

    def run(command: str, *arguments: str, url: str = redis_url) -> Completed:
        options = ["--layout", "simorgh", "--database", database, "--redis", url, "-o", "json"]
        answer = invoke("counters", command, *arguments, *options)
        schemas.check(f"counters {command}", answer.json)
        return answer

    return run


@pytest.fixture
def behind(redis_url: str) -> redis.Redis:
    """A counter at 3, and a session with the number 7."""
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    client.set(KEY, 3)
    client.execute_command("SELECT", "1")
    client.set("chat:G-202512-000007:metadata", '{"chat_id": "G-202512-000007", "user_id": "jane"}')
    client.execute_command("SELECT", "0")
    return client


@pytest.mark.usefixtures("behind")
def test_check_finds_what_is_behind_and_repair_mends_it(counters: Invoke) -> None:
    answer = counters("check")
    assert answer.exit_code == 9
    assert answer.json["data"]["counters"] == [
        {
            "key": KEY, "scope": "general:202512", "value": 3, "ttl": None,
            "max_issued_redis": 7, "max_issued_sql": None, "state": "behind",
        }
    ]  # fmt: skip
    (finding,) = answer.json["data"]["findings"]
    assert finding["fix"] == "chatctl counters repair general:202512"
    assert counters("repair", "--dry-run").json["data"]["raised"] == [{"key": KEY, "from": 3, "to": 7}]
    assert counters("check").exit_code == 9
    assert counters("repair").json["data"]["raised"] == [{"key": KEY, "from": 3, "to": 7}]
    assert counters("check").exit_code == 0
    assert counters("repair").json["data"]["raised"] == []
    assert counters("show", "G-202512").json["data"]["max_issued_sql"] == 7


@pytest.mark.usefixtures("behind")
def test_a_lower_number_is_refused(counters: Invoke) -> None:
    assert counters("repair", "general:202512", "--to", "5").exit_code == 2
    assert counters("repair", "--to", "5").exit_code == 2
    assert counters("repair", "general:202513").exit_code == 2
    assert counters("list").json["data"]["counters"][0]["value"] == 3


def test_growth_shows_months_and_projects(counters: Invoke, behind: redis.Redis) -> None:
    behind.set("session:counter:general:202511", 10)
    behind.set("session:counter:project:AB-CD", 4)
    data = counters("growth").json["data"]
    assert data["months"] == [{"month": "202511", "sessions": 10}, {"month": "202512", "sessions": 3}]
    assert data["projects"] == [{"project": "AB-CD", "sessions": 4}]


def test_a_protected_context_needs_its_name(counters: Invoke, behind: redis.Redis, tmp_path: Path) -> None:
    (tmp_path / "chatctl.yaml").write_text("contexts: {default: {protected: true}}\n")
    assert counters("repair", "--yes").exit_code == 2
    assert behind.get(KEY) == "3"
    assert counters("repair", "--confirm", "default").exit_code == 0


def test_a_counter_of_nothing_is_not_found(counters: Invoke) -> None:
    assert counters("show", "project:1").exit_code == 11


def test_a_layout_without_redis_keys_says_so(invoke: Invoke, redis_url: str) -> None:
    answer = invoke("counters", "list", "--layout", "mentor", "--redis", redis_url, "-o", "json")
    assert answer.exit_code == 4
    assert "keeps nothing in Redis" in answer.json["errors"][0]["message"]


# --- Redis in trouble: a clear error, the right code, nothing changed ---------------------------------------


def test_a_replica_is_told_and_not_written_to(counters: Invoke, own_redis: Any) -> None:
    with own_redis.connect() as client:
        client.set(KEY, 3, ex=1000)
        client.replicaof("127.0.0.1", 1)
    answer = counters("repair", url=own_redis.url)
    assert (answer.exit_code, answer.json["errors"][0]["code"]) == (13, "read_only")


def test_a_missing_password_and_a_missing_right_are_told(counters: Invoke, own_redis: Any) -> None:
    with own_redis.connect() as client:
        client.acl_setuser("limited", enabled=True, passwords=["+canary-1"], categories=["+@connection"], keys=["*"])
        client.config_set("requirepass", "canary-2")
    port = own_redis.port
    refused = counters("list", url=own_redis.url)
    assert (refused.exit_code, refused.json["errors"][0]["code"]) == (5, "access_denied")
    limited = counters("list", url=f"redis://limited:canary-1@127.0.0.1:{port}/0")
    assert (limited.exit_code, limited.json["errors"][0]["code"]) == (13, "no_privilege")
    assert "canary" not in refused.stdout + refused.stderr + limited.stdout + limited.stderr


def test_another_type_under_a_counters_key_is_shown_and_left(counters: Invoke, redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    client.rpush(KEY, "a list")
    assert counters("check").json["data"]["counters"][0]["state"] == "invalid"
    assert counters("repair").exit_code == 9
    assert counters("repair", "general:202512", "--to", "9").exit_code == 9
    assert client.lrange(KEY, 0, -1) == ["a list"]
