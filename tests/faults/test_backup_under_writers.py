"""While writers issue numbers and insert them, no counter in a backup is behind a number in the same backup."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa
from tests.support.backups import Invoke, Site, make_site, redis_client

from chatctl.domain.progress import SilentProgress
from chatctl.layouts import load_layout
from chatctl.services.backup.creating import CreateRequest, take_redis, take_sql
from chatctl.services.backup.parts import SQL, System, Work
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.repository.folder import FolderRepository
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dumps import dumper_for
from chatctl.stores.sql.high_water import SqlHighWater
from chatctl.stores.sql.journal import Journal

WRITERS = 32
COUNTER = "session:counter:general:202512"
SOAK = bool(os.environ.get("CHATCTL_SOAK"))

_INSERT = sa.text(
    "INSERT INTO archived_sessions (chat_id, user_id, chat_name, chat_type, metadata, created_at, last_active,"
    " archived_at) VALUES (:id, 'u1', 'n', 'general', '{}', '2025-12-01 00:00:00', '2025-12-01 00:00:00',"
    " '2025-12-01 00:00:00')"
)


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, redis_url: str) -> Site:
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "simorgh", redis_url)
    assert invoke("migrate", "--yes").exit_code == 0
    return site


@contextmanager
def writers(url: str, redis_url: str) -> Iterator[None]:
    """While the block runs: each takes the next number in Redis, then inserts it into SQL, as applications do."""
    stop, started = threading.Event(), threading.Barrier(WRITERS + 1)
    engine = sa.create_engine(Database(url).url, pool_size=WRITERS, max_overflow=0)

    def write(client: redis.Redis) -> None:
        started.wait()
        while not stop.is_set():
            number = int(client.incr(COUNTER))
            with engine.begin() as connection:
                connection.execute(_INSERT, {"id": f"G-202512-{number:06d}"})

    with closing(redis_client(redis_url)) as client, ThreadPoolExecutor(WRITERS) as pool:
        jobs = [pool.submit(write, client) for _ in range(WRITERS)]
        started.wait()
        try:
            yield
        finally:
            stop.set()
    for job in jobs:
        job.result()
    engine.dispose()


def highest_in(database: Database) -> int:
    """The highest number in the table."""
    with database.connect() as connection:
        text = connection.scalar(sa.text("SELECT MAX(chat_id) FROM archived_sessions"))
    return int(str(text).rpartition("-")[2]) if text else 0


def highest_in_dump(source: Database, folder: Path) -> int:
    """The highest number in the dump, by restoring it into a scratch database."""
    with dumper_for(source).scratch() as scratch:
        dumper_for(scratch).load(folder, elsewhere=True)
        return highest_in(scratch)


@pytest.mark.parametrize("engine_name", ["mariadb", "postgresql"], indirect=True)
@pytest.mark.parametrize(
    "rounds",
    [4, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])],
)
def test_after_a_restore_a_counter_is_at_least_the_highest_number(site: Site, redis_url: str, rounds: int) -> None:
    backups = []
    with writers(site.url, redis_url):
        for _ in range(rounds):
            backups.append(site("create", "--pause-writes", "50") if len(backups) == 1 else site("create"))

    source = Database(site.url)
    for backup in backups:
        highest = highest_in_dump(source, site.store / backup["id"] / SQL)
        assert highest > 0
        assert backup["redis"]["counters"]["general:202512"] >= highest
    last = highest_in(source)
    source.close()
    with closing(redis_client(redis_url)) as client:
        client.flushall()
        site.restore(backups[0]["id"])
        assert int(client.get(COUNTER) or 0) >= last


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_control_taking_redis_first_leaves_counters_behind(site: Site, redis_url: str, tmp_path: Path) -> None:
    database = Database(site.url)
    journal, stores = Journal(database), RedisStores(redis_url, load_layout("simorgh").redis, tmp_path)
    layout = load_layout("simorgh")
    target = MigrationTarget(database, layout, journal)
    system = System("default", target, stores, SqlHighWater(database, journal), [], {})
    work = Work(FolderRepository(tmp_path / "none"), SilentProgress())
    behind = 0
    with writers(site.url, redis_url):
        for number in range(3):
            folder = tmp_path / f"wrong-{number}"
            folder.mkdir()
            reading = take_redis(system, stores, folder, work)
            take_sql(system, folder, CreateRequest(), work)
            highest = highest_in_dump(database, folder / SQL)
            behind += reading.part.counters.get("general:202512", 0) < highest
    stores.close()
    database.close()

    assert behind > 0
