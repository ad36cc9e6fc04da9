"""A purge of Redis sessions that is killed at any moment loses nothing, and the same command finishes it.

Redis knows nothing of SQL's transactions: a session may be both archived and there for a while, never neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.faults import KILLED, Faults, moments_in
from tests.support.purging import bed
from tests.support.zygote import Zygote

from chatctl.domain.sessions import StoredSession
from chatctl.layouts import load_layout
from chatctl.stores.redis.stores import RedisStores

pytestmark = [pytest.mark.redis, pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)]

EXPIRED = 3
PURGE = ("purge", "run", "--confirm", "default", "--batch-size", "2")
#: How many moments are tried, where not each one is.
TRIED = 6


@dataclass
class Bench:
    """A database, a Redis, and commands on both."""

    zygote: Zygote
    stores: RedisStores
    url: str
    redis_url: str
    folder: Path

    def run(self, *command: str, expected: int = 0, **variables: str) -> dict[str, Any]:
        """Runs a command; its data."""
        env = {
            "CHATCTL_DATABASE": self.url,
            "CHATCTL_REDIS_URL": self.redis_url,
            "CHATCTL_LAYOUT": "simorgh",
            "CHATCTL_PURGE_ARCHIVE_FOLDER": str(self.folder / "archives"),
            **variables,
        }
        done = self.zygote("--output", "json", *command, env=env)
        assert done.exit_code == expected, f"{variables}\n{done}"
        return {} if expected == KILLED else json.loads(done.stdout)["data"]

    def fill(self, turn: int = 0) -> dict[str, Any]:
        """Idle sessions and a fresh one, which no earlier turn has seen; all that Redis holds then."""
        client = self.stores.servers.client(1)
        client.flushall()
        now = datetime.now(UTC)
        for number in range(EXPIRED + 1):
            accessed = now - timedelta(days=0 if number == EXPIRED else 40 + number)
            record = {"user_id": "u1", "created_at": accessed.isoformat(), "chat_type": "general"}
            entry = {"role": "user", "content": "ü", "timestamp": accessed.isoformat()}
            name = f"G-202601-{turn * 100 + number + 1:06}"
            self.stores.sessions.restore(StoredSession(name, json.dumps(record), (json.dumps(entry), "no JSON")))
        return self.content()

    def content(self) -> dict[str, Any]:
        """All that Redis holds of sessions."""
        client = self.stores.servers.client(1)
        found: dict[str, Any] = {}
        for key in client.scan_iter("*"):
            readers = {"string": client.get, "set": client.smembers}
            found[key] = client.lrange(key, 0, -1) if client.type(key) == "list" else readers[client.type(key)](key)
        return found

    def there(self) -> int:
        """The sessions that Redis holds."""
        return sum(1 for _ in self.stores.sessions.ids())


@pytest.fixture
def bench(zygote: Zygote, tmp_path: Path, engine_url: str, redis_url: str) -> Iterator[Bench]:
    bed(engine_url, "simorgh", tmp_path).close()
    stores = RedisStores(redis_url, load_layout("simorgh").redis, tmp_path)
    yield Bench(zygote, stores, engine_url, redis_url, tmp_path)
    stores.close()


def moments(bench: Bench) -> list[str]:
    """Every moment that an undisturbed purge passes once it archives sessions."""
    bench.fill()
    trace = bench.folder / "moments"
    bench.run(*PURGE, CHATCTL_FAIL_POINT_TRACE=str(trace))
    return moments_in(trace)


def test_a_purge_of_sessions_killed_at_any_moment_loses_nothing(bench: Bench, faults: Faults) -> None:
    every = moments(bench)
    assert {"purge.before-withdraw", "archive.after-fsync"} <= {name.partition(":")[0] for name in every}
    for turn, moment in enumerate(faults.spread(every, TRIED), 1):
        whole = bench.fill(turn)
        bench.run(*PURGE, expected=KILLED, CHATCTL_FAIL_POINT=moment)
        bench.run(*PURGE)
        assert bench.there() == 1, moment
        bench.run("purge", "restore")
        assert bench.content() == whole, moment
        bench.run(*PURGE)
        assert bench.there() == EXPIRED + 1, moment


def test_without_archives_the_same_kill_does_lose(bench: Bench) -> None:
    """The negative control: what the test above looks for can be missing."""
    bench.fill()
    killed = {"CHATCTL_FAIL_POINT": "purge.before-withdraw:2", "CHATCTL_PURGE_ARCHIVE": "none"}
    bench.run(*PURGE, expected=KILLED, **killed)
    assert bench.there() == EXPIRED
    assert not list(bench.folder.glob("archives/*/*.zst"))
