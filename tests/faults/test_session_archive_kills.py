"""Archiving and restoring sessions, killed at any moment: nothing is lost, nothing is there twice in the end."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from tests.support.creators import GENERAL, PROJECTS, draft, high_water, opened_database, stores
from tests.support.faults import KILLED, Faults, moments_in
from tests.support.migrated import Migrated
from tests.support.zygote import Zygote

from chatctl.domain.session_ids import parse_session
from chatctl.domain.sessions import StoredSession
from chatctl.layouts import Phase, load_layout
from chatctl.services.sessions.archiving import BATCH
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.sql.session_archive import SessionArchive

log = logging.getLogger(__name__)

LAYOUT = load_layout("simorgh")
THERE = ("sessions", "archive", "--idle", "30d")
BACK = ("sessions", "archive", "--restore")
#: How many moments are tried each way, where not each one is.
TRIED = 3


@dataclass
class Bench:
    """A Redis with idle sessions, an archive, and commands that move the ones to the other."""

    zygote: Zygote
    redis: RedisStores
    archive: SessionArchive
    env: dict[str, str]
    sessions: dict[str, StoredSession]

    def run(self, command: tuple[str, ...], *, kill_after_seconds: float | None = None, **variables: str) -> int:
        """The command's exit code."""
        done = self.zygote(*command, "-o", "json", env=self.env | variables, kill_after_seconds=kill_after_seconds)
        assert done.exit_code in (0, KILLED), done
        return done.exit_code

    def fill(self, count: int) -> None:
        """Sessions of several scopes and users, with histories."""
        scopes = (GENERAL, *PROJECTS)
        for number in range(count):
            session = scopes[number % 4].id(number // 4 + 1)
            record = {"chat_id": str(session), **draft(scopes[number % 4], f"user{number % 3}").record}
            history = tuple(f'{{"content": "{number}, {place}: ü"}}' for place in range(number % 4))
            stored = StoredSession(str(session), json.dumps(record), history)
            assert self.redis.sessions.restore(stored) == "restored"
            self.sessions[stored.id] = stored

    def assert_nothing_is_lost(self) -> None:
        """Every session is, to the letter, in Redis or in SQL (or in both, in the middle of a move)."""
        ids = sorted(self.sessions)
        parsed = [parse_session(text) for text in ids]
        here = {stored.id: stored for stored in self.redis.sessions.get_many(parsed)}
        parts = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
        there = {stored.id: stored for part in parts for stored in self.archive.load(part)}
        assert here.keys() | there.keys() == self.sessions.keys()
        assert all(stored == self.sessions[name] for held in (here, there) for name, stored in held.items())

    def everything(self) -> dict[str, Any]:
        """Every key of the chats' database."""
        client = self.redis.servers.client(1)
        readers = {"string": client.get, "list": lambda name: client.lrange(name, 0, -1), "set": client.smembers}
        return {name: readers[client.type(name)](name) for name in client.scan_iter(count=1_000)}

    def moments(self, command: tuple[str, ...], folder: Path) -> list[str]:
        """Every moment that the command passes."""
        trace = folder / command[-1]
        assert self.run(command, CHATCTL_FAIL_POINT_TRACE=str(trace)) == 0
        return moments_in(trace)


@pytest.fixture
def bench(zygote: Zygote, engine_url: str, redis_url: str) -> Iterator[Bench]:
    database = opened_database(engine_url)
    Migrated(LAYOUT, database).up_to(Phase.EXPAND)
    high_water(engine_url)
    env = {"CHATCTL_DATABASE": engine_url, "CHATCTL_REDIS_URL": redis_url, "CHATCTL_LAYOUT": "simorgh"}
    redis = stores(redis_url)
    yield Bench(zygote, redis, SessionArchive(database, LAYOUT), env, {})
    redis.close()
    database.close()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_kill_at_any_step_loses_and_doubles_nothing(bench: Bench, tmp_path: Path, faults: Faults) -> None:
    bench.fill(6)
    before = bench.everything()
    every = {command: bench.moments(command, tmp_path) for command in (THERE, BACK)}
    assert {"archive.saved:1", "archive.before-withdraw:6"} <= set(every[THERE])
    assert {"restore.restored:6", "restore.before-remove:1"} <= set(every[BACK])
    for moments in zip_longest(*(faults.spread(found, TRIED) for found in every.values())):
        for command, moment, left, archived in zip((THERE, BACK), moments, ({}, before), (6, 0), strict=True):
            if moment is not None:
                assert bench.run(command, CHATCTL_FAIL_POINT=moment) == KILLED, moment
                bench.assert_nothing_is_lost()
            assert bench.run(command) == 0, moment
            assert (bench.everything(), len(bench.archive.ids())) == (left, archived), moment


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_kills_at_random_while_ten_thousand_sessions_move_lose_and_double_nothing(bench: Bench, faults: Faults) -> None:
    bench.fill(10_000)
    before = bench.everything()
    kills = {command: _kill_until_done(bench, command, faults.chance) for command in (THERE, BACK)}
    faults.count("kills at random", sum(kills.values()))
    log.info("10,000 sessions moved there under %d kills, and back under %d", kills[THERE], kills[BACK])
    assert (bench.everything(), bench.archive.ids()) == (before, [])


def _kill_until_done(bench: Bench, command: tuple[str, ...], chosen: random.Random) -> int:
    """Runs the command again and again, killed later each time, until it has come to its end; how often it was."""
    kills, patience = 0, 1.0
    started = time.monotonic()
    while bench.run(command, kill_after_seconds=chosen.uniform(0.1, patience)) == KILLED:
        bench.assert_nothing_is_lost()
        kills, patience = kills + 1, patience * 1.1
        assert time.monotonic() - started < 3600
    if command is THERE:
        assert (bench.everything(), len(bench.archive.ids())) == ({}, 10_000)
    return kills
