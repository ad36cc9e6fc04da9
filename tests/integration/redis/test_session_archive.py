"""Idle sessions go to SQL and come back exactly as they were, whatever happens on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from tests.support.creators import GENERAL, NOW, PROJECTS, draft, high_water, opened_database, stores
from tests.support.migrated import Migrated

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Outcome, Result
from chatctl.domain.sessions import StoredSession
from chatctl.errors import MissingEntityError, NotFoundError
from chatctl.layouts import Phase, load_layout
from chatctl.services.counters.issuing import Issuer
from chatctl.services.sessions import archiving
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.sql.session_archive import SessionArchive

LAYOUT = load_layout("simorgh")
LATER = NOW + timedelta(days=60)
MONTH = timedelta(days=30)
SURROUNDINGS = archiving.Surroundings(SilentProgress(), StopSignal())

# What must come back to the letter: spaces, order, escapes, other scripts, and bytes that are no UTF-8.
ODD_ENTRIES = [
    '{"role":"user",   "content": "Hello"}',
    '{"content": "\\u0000 \\ud83d\\ude00 😀 سلام", "role": "assistant"}',
    "not json at all",
    "",
    '{"content": "' + "x" * 100_000 + '"}',
    "bytes \udcff\udcfe",
    "a \0 in between",
]


@pytest.fixture
def redis(redis_url: str) -> Iterator[RedisStores]:
    opened = stores(redis_url)
    yield opened
    opened.close()


@pytest.fixture
def archive(engine_url: str) -> SessionArchive:
    database = opened_database(engine_url)
    Migrated(LAYOUT, database).up_to(Phase.EXPAND)
    high_water(engine_url)
    return SessionArchive(database, LAYOUT)


def fill(redis: RedisStores, database_url: str, count: int) -> list[StoredSession]:
    """Sessions with histories, as Redis holds them."""
    issuer = Issuer(redis.counters, high_water(database_url))
    ids = [issuer.create(draft((GENERAL, *PROJECTS)[at % 4], f"user{at % 3}")) for at in range(count)]
    pipeline = redis.servers.client(1).pipeline()
    for at, session in enumerate(ids):
        for entry in ODD_ENTRIES[: at % (len(ODD_ENTRIES) + 1)]:
            pipeline.rpush(f"chat:history:{session}", entry)
    pipeline.execute()
    return redis.sessions.get_many(ids)


def everything(redis: RedisStores) -> dict[str, object]:
    """Every key of the chats' database with its value."""
    client = redis.servers.client(1)
    found: dict[str, object] = {}
    for name in client.scan_iter():
        kind = client.type(name)
        read: dict[str, Callable[[], object]] = {
            "string": lambda name=name: client.get(name),
            "list": lambda name=name: client.lrange(name, 0, -1),
            "set": lambda name=name: sorted(client.smembers(name)),
        }
        found[name] = read[kind]()
    return found


def to_sql(redis: RedisStores, archive: SessionArchive, url: str, now: datetime = LATER, **options: bool) -> Result:
    return archiving.archive(redis.sessions, archive, high_water(url), MONTH, now, SURROUNDINGS, **options)


def to_redis(redis: RedisStores, archive: SessionArchive, *ids: str) -> Result:
    return archiving.restore(redis.sessions, archive, ids, SURROUNDINGS)


def there_and_back(redis: RedisStores, archive: SessionArchive, url: str, count: int) -> None:
    stored = fill(redis, url, count)
    before = everything(redis)
    answer = to_sql(redis, archive, url)
    assert (answer.outcome, answer.data["archived"]) == (Outcome.DONE, count)
    assert everything(redis) == {}
    assert len(archive.ids()) == count
    assert archive.load([stored[-1].id]) == [stored[-1]]
    assert to_redis(redis, archive).data["restored"] == count
    assert everything(redis) == before
    assert archive.ids() == []


def test_sessions_come_back_exactly_as_they_were(redis: RedisStores, archive: SessionArchive, engine_url: str) -> None:
    there_and_back(redis, archive, engine_url, 30)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_sessions_come_back(redis: RedisStores, archive: SessionArchive, engine_url: str) -> None:
    there_and_back(redis, archive, engine_url, 10_000)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
class TestOnOneEngine:
    """What doesn't depend on the engine."""

    def test_a_session_that_is_written_to_stays(
        self, redis: RedisStores, archive: SessionArchive, engine_url: str
    ) -> None:
        stored = fill(redis, engine_url, 3)
        late = (LATER - timedelta(days=1)).isoformat()
        redis.servers.client(1).rpush(f"chat:history:{stored[1].id}", json.dumps({"timestamp": late}))
        assert to_sql(redis, archive, engine_url).data["archived"] == 2
        assert [str(session) for session in redis.sessions.ids()] == [stored[1].id]

    def test_a_session_that_the_scan_comes_across_twice_is_archived_once(
        self, redis: RedisStores, archive: SessionArchive, engine_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(redis, engine_url, 3)
        once = list(redis.sessions.ids())
        monkeypatch.setattr(redis.sessions, "ids", lambda: iter([*once, *once]))
        assert to_sql(redis, archive, engine_url).data["archived"] == 3

    def test_an_old_session_leaves_no_place_in_an_index_behind(
        self, redis: RedisStores, archive: SessionArchive, engine_url: str
    ) -> None:
        chats = redis.servers.client(1)
        for text, kind, index in (
            ("a1b2c3d4-e5f6-7890-abcd-ef1234567890", '"general"', "general"),
            ("b1b2c3d4-e5f6-7890-abcd-ef1234567890", '"project", "project_number": 7', "project:7"),
        ):
            record = f'{{"user_id": "jane", "chat_type": {kind}, "created_at": "2025-12-03T10:30:00"}}'
            chats.set(f"chat:{text}:metadata", record)
            chats.rpush(f"chat:history:{text}", *ODD_ENTRIES)
            chats.sadd(f"user:jane:chats:{index}", text)
            chats.sadd("user:jane:chats:all", text)
        before = everything(redis)
        assert to_sql(redis, archive, engine_url).data["archived"] == 2
        assert everything(redis) == {}
        to_redis(redis, archive)
        assert everything(redis) == before

    def test_a_dry_run_counts_and_changes_nothing(
        self, redis: RedisStores, archive: SessionArchive, engine_url: str
    ) -> None:
        fill(redis, engine_url, 4)
        before = everything(redis)
        assert to_sql(redis, archive, engine_url, dry_run=True).data["archived"] == 4
        assert (everything(redis), archive.ids()) == (before, [])

    def test_an_archived_number_is_never_issued_again(
        self, redis: RedisStores, archive: SessionArchive, engine_url: str
    ) -> None:
        redis.servers.client(1).set(
            "chat:G-202512-000041:metadata",
            '{"chat_id": "G-202512-000041", "user_id": "jane", "created_at": "2025-12-03T10:30:00"}',
        )
        to_sql(redis, archive, engine_url)
        issuer = Issuer(redis.counters, high_water(engine_url), [archive])
        assert str(issuer.create(draft(GENERAL, "jane"))) == "G-202512-000042"

    def test_a_session_of_another_that_took_the_number_is_not_overwritten(
        self, redis: RedisStores, archive: SessionArchive, engine_url: str
    ) -> None:
        (stored,) = fill(redis, engine_url, 1)
        to_sql(redis, archive, engine_url)
        other = f'{{"chat_id": "{stored.id}", "user_id": "somebody else"}}'
        redis.servers.client(1).set(f"chat:{stored.id}:metadata", other)
        answer = to_redis(redis, archive)
        assert (answer.outcome, answer.data["conflicts"]) == (Outcome.FINDINGS, [stored.id])
        assert redis.servers.client(1).get(f"chat:{stored.id}:metadata") == other
        assert archive.ids() == [stored.id]

    def test_what_is_nowhere_is_not_found(self, redis: RedisStores, archive: SessionArchive, engine_url: str) -> None:
        with pytest.raises(NotFoundError):
            to_redis(redis, archive, "G-202512-000001")


def test_a_session_that_changes_after_it_was_read_stays(redis: RedisStores) -> None:
    redis.servers.client(1).set("chat:G-202512-000001:metadata", "new")
    assert redis.sessions.withdraw(StoredSession("G-202512-000001", "old")) == "changed"
    assert redis.servers.client(1).get("chat:G-202512-000001:metadata") == "new"


def test_a_database_without_the_tables_says_what_makes_them(redis: RedisStores, sqlite_url: str) -> None:
    with pytest.raises(MissingEntityError, match="archived_sessions"):
        to_sql(redis, SessionArchive(opened_database(sqlite_url), LAYOUT), sqlite_url)
