"""Sessions in Redis go with their history and their places in indexes, and come back to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.purging import DAY, MILLISECOND, NOW, PurgeBed, bed

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Outcome, Result
from chatctl.domain.sessions import StoredSession
from chatctl.services.purge import restoring, running
from chatctl.services.purge.planning import plan
from chatctl.services.purge.restoring import RestoreRequest
from chatctl.services.purge.target import PurgeRequest, PurgeTarget
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.sql.high_water import SqlHighWater

pytestmark = [
    pytest.mark.redis,
    pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True),
]


@dataclass
class SessionBed:
    """A `simorgh` database and a Redis with sessions."""

    rows: PurgeBed
    stores: RedisStores
    client: Any

    @property
    def target(self) -> PurgeTarget:
        return replace(self.rows.target, sessions=self.stores.sessions)

    def add(self, number: int, accessed: datetime, user: str = "u1", **fields: Any) -> str:
        """A general session last written to then; its ID."""
        name = f"G-202601-{number:06}"
        record = {"user_id": user, "created_at": (accessed - DAY).isoformat(), "chat_type": "general", **fields}
        entry = {"role": "user", "content": "ü 😀", "timestamp": accessed.isoformat()}
        self.stores.sessions.restore(StoredSession(name, json.dumps(record), (json.dumps(entry), "no JSON at all")))
        return name

    def content(self) -> dict[str, Any]:
        """Everything that Redis holds of sessions."""
        found: dict[str, Any] = {}
        for key in self.client.scan_iter("*"):
            readers = {"string": self.client.get, "set": self.client.smembers}
            kind = self.client.type(key)
            found[key] = self.client.lrange(key, 0, -1) if kind == "list" else readers[kind](key)
        return found

    def purge(self, **options: Any) -> Result:
        return running.run(self.target, PurgeRequest(**options), running.Attendance(SilentProgress(), StopSignal()))

    def restore(self, **wanted: Any) -> Result:
        return restoring.restore(self.target, RestoreRequest.of(None, **wanted), SilentProgress(), StopSignal())


@pytest.fixture
def sessions(engine_url: str, redis_url: str, tmp_path: Path) -> Iterator[SessionBed]:
    rows = bed(engine_url, "simorgh", tmp_path)
    stores = RedisStores(redis_url, rows.layout.redis, tmp_path)
    yield SessionBed(rows, stores, stores.servers.client(1))
    stores.close()
    rows.close()


def test_idle_sessions_go_with_their_history_and_their_places_in_indexes(sessions: SessionBed) -> None:
    gone = sessions.add(1, NOW - 30 * DAY - MILLISECOND)
    exact = sessions.add(2, NOW - 30 * DAY)
    sessions.rows.add("row", NOW - 90 * DAY)

    planned = plan(sessions.target, PurgeRequest()).data
    done = sessions.purge().data

    assert (planned["eligible"], planned["sessions"]["eligible"]) == (2, 1)
    assert (done["deleted_chats"], done["deleted_sessions"], done["deleted_messages"]) == (2, 1, 4)
    assert gone not in json.dumps(sessions.content(), default=list)
    assert sessions.client.smembers("user:u1:chats:all") == {exact}
    assert sessions.purge().data["deleted_chats"] == 0


@pytest.mark.parametrize("archive", ["file", "table"])
def test_purge_then_restore_is_the_identity(sessions: SessionBed, archive: str) -> None:
    for number in range(1, 8):
        sessions.add(number, NOW - (30 + number) * DAY, user=f"u{number % 2}")
    before = sessions.content()

    sessions.purge(archive=archive)
    assert sessions.content() == {}
    back = sessions.restore()

    assert sessions.content() == before
    assert (back.data["restored_chats"], back.data["restored_messages"]) == (7, 14)
    assert sessions.purge().data["deleted_chats"] == 0


def test_a_users_sessions_alone_can_be_restored_and_never_over_others(sessions: SessionBed) -> None:
    for number in range(1, 5):
        sessions.add(number, NOW - 90 * DAY, user=f"u{number % 2}")
    sessions.purge()
    sessions.add(1, NOW, user="other")

    back = sessions.restore(user="u1")

    assert back.outcome is Outcome.PARTIAL
    assert back.data["conflicts"] == ["G-202601-000001"]
    assert sessions.client.get("chat:G-202601-000003:metadata") is not None
    assert sessions.client.get("chat:G-202601-000002:metadata") is None


def test_held_sessions_and_those_of_other_accounts_stay(sessions: SessionBed) -> None:
    held, other, gone = (sessions.add(number, NOW - 90 * DAY, user=f"u{number}") for number in (1, 2, 3))
    sessions.target.prepare()
    with sessions.rows.database.begin() as connection:
        sessions.target.holds.add(connection, "user", "u1", "case", "x", None)

    assert sessions.purge(account="u3").data["by_account"] == {"u3": 1}
    assert sessions.purge(account="u1").data["held"] == 1
    there = {name for name in (held, other, gone) if sessions.client.get(f"chat:{name}:metadata")}
    assert there == {held, other}


def test_a_session_written_to_after_it_was_archived_stays(
    sessions: SessionBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sessions.add(1, NOW - 90 * DAY)
    store = sessions.stores.sessions
    withdraw = store.withdraw

    def overtaken(stored: StoredSession) -> str:
        sessions.client.rpush(f"chat:history:{name}", json.dumps({"timestamp": NOW.isoformat()}))
        return withdraw(stored)

    monkeypatch.setattr(store, "withdraw", overtaken)

    assert sessions.purge().data["deleted_sessions"] == 0
    assert sessions.client.llen(f"chat:history:{name}") == 3


def test_the_numbers_of_purged_sessions_are_not_issued_again(sessions: SessionBed) -> None:
    """Whoever wrote them, and though their counters were lost: nothing but the mark knows of them any more."""
    sessions.add(7, NOW - 90 * DAY)
    sessions.rows.add("G-202602-000009", NOW - 90 * DAY)
    sessions.rows.add("P-12-000003", NOW)

    assert sessions.purge(archive="none").data["deleted_chats"] == 2

    issued = SqlHighWater(sessions.rows.database, sessions.target.journal).issued()
    assert issued == {"general:202601": 7, "general:202602": 9}


def test_session_counters_are_never_touched(sessions: SessionBed) -> None:
    counters = sessions.stores.servers.client(0)
    counters.set("session:counter:general:202601", "7")
    sessions.add(7, NOW - timedelta(days=90))
    sessions.purge()
    assert counters.get("session:counter:general:202601") == "7"
