"""While writers issue numbers and insert them, no counter in a backup is behind a number in the same backup."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.backups import Invoke, Site, make_site, redis_client
from tests.support.issuers import COUNTER, issuing

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
#: How many backups `make soak` takes.
SOAK_BACKUPS = int(os.environ.get("CHATCTL_SOAK_BACKUPS") or 200)

#: The number in an ID, which has more digits from a million on.
_NUMBER = "CAST(SUBSTR(chat_id, 10) AS DECIMAL)"
_KEPT = 5_000

_log = logging.getLogger(__name__)


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, redis_url: str) -> Site:
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "simorgh", redis_url)
    assert invoke("migrate", "--yes").exit_code == 0
    return site


def highest_in(database: Database) -> int:
    """The highest number in the table."""
    with database.connect() as connection:
        return int(connection.scalar(sa.text(f"SELECT MAX({_NUMBER}) FROM archived_sessions")) or 0)


def forget_below(database: Database, number: int) -> None:
    """Takes older rows away, so that hours of writing don't make each backup slower than the one before."""
    with database.begin() as connection:
        connection.execute(
            sa.text("DELETE FROM archived_sessions WHERE chat_id < :bound"), {"bound": f"G-202512-{number:06d}"}
        )


def highest_in_dump(source: Database, folder: Path) -> int:
    """The highest number in the dump, by restoring it into a scratch database."""
    with dumper_for(source).scratch() as scratch:
        dumper_for(scratch).load(folder, elsewhere=True)
        return highest_in(scratch)


@pytest.mark.parametrize("engine_name", ["mariadb", "postgresql"], indirect=True)
@pytest.mark.parametrize(
    "rounds",
    [3, pytest.param(SOAK_BACKUPS, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])],
)
def test_after_a_restore_a_counter_is_at_least_the_highest_number(site: Site, redis_url: str, rounds: int) -> None:
    source, backups = Database(site.url), []
    with issuing(site.url, redis_url, WRITERS):
        for number in range(rounds):
            backup = site("create", "--pause-writes", "50") if number == 1 else site("create")
            highest = highest_in_dump(source, site.store / backup["id"] / SQL)
            assert highest > 0
            assert backup["redis"]["counters"]["general:202512"] >= highest
            backups.append(backup)
            forget_below(source, highest - _KEPT)
            _log.info("%s: %s of %s backups hold, %s numbers issued", site.url[:10], len(backups), rounds, highest)

    last = highest_in(source)
    source.close()
    with closing(redis_client(redis_url)) as client:
        client.flushall()
        site.restore(backups[0]["id"])
        assert int(client.get(COUNTER) or 0) >= last


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_with_writes_paused_both_are_of_one_point(site: Site, redis_url: str) -> None:
    source = Database(site.url)
    with issuing(site.url, redis_url, 1):
        short = site.invoke("backup", "create", "--pause-writes", "1", "--output", "json").json
        paused = site.invoke("backup", "create", "--pause-writes", "60000", "--output", "json").json
    assert paused["errors"] == []
    highest = highest_in_dump(source, site.store / paused["data"]["id"] / SQL)
    source.close()

    # One number may be on its way from Redis to the database.
    assert paused["data"]["redis"]["counters"]["general:202512"] - highest in (0, 1)
    assert paused["warnings"] == []
    assert [warning["code"] for warning in short["warnings"]] == ["pause_ended_early"]


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_control_taking_redis_first_leaves_counters_behind(site: Site, redis_url: str, tmp_path: Path) -> None:
    database = Database(site.url)
    journal, stores = Journal(database), RedisStores(redis_url, load_layout("simorgh").redis, tmp_path)
    layout = load_layout("simorgh")
    target = MigrationTarget(database, layout, journal)
    system = System("default", target, stores, SqlHighWater(database, journal), [], {})
    work = Work(FolderRepository(tmp_path / "none"), SilentProgress())
    behind = 0
    with issuing(site.url, redis_url, WRITERS):
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
