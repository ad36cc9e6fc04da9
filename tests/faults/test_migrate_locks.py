"""A schema is changed by one run at a time, whatever stands between and whatever becomes of the run that began."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Cli
from tests.support.legacy import make_legacy
from tests.support.pgbouncer import PgBouncer
from tests.support.processes import ServerUnavailableError
from tests.support.servers import without
from tests.support.zygote import Zygote

from chatctl.errors import LockedError
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.locks import RunLock

CONTENDERS = 20
#: A busy machine may take long to start a process.
PATIENCE_SECONDS = 120
SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    with Zygote(tmp_path) as started:
        yield started


@pytest.fixture
def pooled_url(postgresql_url: str) -> Iterator[str]:
    """The same database as `postgresql_url`, through a pooler in transaction mode."""
    try:
        pooler = PgBouncer(postgresql_url)
    except ServerUnavailableError as problem:
        without("pgbouncer", str(problem))
    with pooler:
        yield pooler.url


def test_of_twenty_that_start_at_once_one_applies(zygote: Zygote, engine_url: str) -> None:
    make_legacy(engine_url, "mentor")
    _contend(zygote, engine_url)


def test_of_twenty_behind_a_pooler_one_applies(zygote: Zygote, postgresql_url: str, pooled_url: str) -> None:
    make_legacy(postgresql_url, "mentor")
    _contend(zygote, pooled_url)


def _contend(zygote: Zygote, url: str) -> None:
    done = zygote.at_once(CONTENDERS, "-o", "json", "migrate", "up", env=_settings(url))
    codes = Counter(item.exit_code for item in done)
    assert set(codes) <= {0, 6}, next(item for item in done if item.exit_code not in (0, 6))
    applied = [item for item in done if item.exit_code == 0 and item.json["data"]["applied"]]
    assert len(applied) == 1
    assert applied[0].json["data"]["applied"] == ["mentor_0002", "mentor_0003"]
    after = zygote("-o", "json", "migrate", "check", env=_settings(url))
    assert after.exit_code == 0, after


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_who_holds_the_lock_is_named(engine_url: str, run_cli: Cli) -> None:
    make_legacy(engine_url, "mentor")
    with _holder(engine_url, run_cli, lease_seconds=15) as holder:
        refused = run_cli("migrate", "up", env=_settings(engine_url))
        assert refused.exit_code == 6
        assert f"process {holder.pid}" in refused.stderr
        assert os.uname().nodename in refused.stderr


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_a_paused_holder_is_replaced_and_writes_nothing_more(engine_url: str, run_cli: Cli) -> None:
    _pause_and_replace(engine_url, run_cli, pause_seconds=4, lease_seconds=2)


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_a_holder_paused_for_a_minute_writes_nothing_more(engine_url: str, run_cli: Cli) -> None:
    _pause_and_replace(engine_url, run_cli, pause_seconds=60, lease_seconds=15)


def _pause_and_replace(url: str, run_cli: Cli, pause_seconds: float, lease_seconds: float) -> None:
    make_legacy(url, "mentor")
    with _holder(url, run_cli, lease_seconds) as holder:
        holder.send_signal(signal.SIGSTOP)
        time.sleep(pause_seconds)
    try:
        taken_over = run_cli("-o", "json", "migrate", "up", env=_settings(url, lease_seconds))
        assert taken_over.exit_code == 0, taken_over
        assert taken_over.json["data"]["resumed"] is True
        before = _everything(url)
        holder.send_signal(signal.SIGCONT)
        _, stderr = holder.communicate(timeout=PATIENCE_SECONDS)
    finally:
        # One that is still stopped would stay so for ever.
        holder.kill()
    assert holder.returncode in (5, 6), stderr
    assert _everything(url) == before


@pytest.mark.parametrize("moved_ms", [pytest.param(0, id="run_out"), pytest.param(7_200_000, id="clock_set_back")])
@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_a_dead_holder_of_another_host_is_replaced_when_its_lease_has_ended(
    engine_url: str, run_cli: Cli, moved_ms: int
) -> None:
    make_legacy(engine_url, "mentor")
    with _holder(engine_url, run_cli, lease_seconds=3) as holder:
        holder.kill()
        holder.communicate()
    database = Database(engine_url)
    with database.begin() as connection:
        moved = f"host = 'elsewhere', lease_until_ms = lease_until_ms + {moved_ms}"
        connection.exec_driver_sql(f"UPDATE chatctl_locks SET {moved} WHERE name = 'schema'")
    database.close()
    began = time.monotonic()
    while not _can_be_locked(engine_url):
        time.sleep(0.1)
    assert time.monotonic() - began < 15
    assert run_cli("migrate", "up", env=_settings(engine_url)).exit_code == 0


def _can_be_locked(url: str) -> bool:
    database = Database(url)
    try:
        with RunLock(Journal(database), "schema"):
            return True
    except LockedError:
        return False
    finally:
        database.close()


@contextmanager
def _holder(url: str, run_cli: Cli, lease_seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """A run that holds the lock and waits for a table, which is free again after the block."""
    database = Database(url)
    with database.connect() as blocker:
        blocker.exec_driver_sql("SELECT COUNT(*) FROM messages").all()
        holder = run_cli.start("migrate", "up", env=_settings(url, lease_seconds))
        try:
            _wait_for_attempt(url)
            yield holder
        except BaseException:
            holder.kill()
            raise
    database.close()
    if holder.poll() is None and _state(holder.pid) != "T":
        holder.communicate(timeout=PATIENCE_SECONDS)


def _wait_for_attempt(url: str) -> None:
    """Until the first revision is applied: the next one waits for the blocked table."""
    database = Database(url)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _has_chats(database):
        assert time.monotonic() < deadline, "the first revision was not applied"
        time.sleep(0.05)
    # It is in the middle of trying by then, or between two tries.
    time.sleep(1)
    database.close()


def _has_chats(database: Database) -> bool:
    with database.connect() as connection:
        return sa.inspect(connection).has_table("chats")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _settings(url: str, lease_seconds: float | None = None) -> dict[str, str]:
    lease = {} if lease_seconds is None else {"CHATCTL_LEASE_SECONDS": str(lease_seconds)}
    return {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor", **lease}


def _everything(url: str) -> dict[str, list[str]]:
    """All rows of all tables, the journal's too."""
    database = Database(url)
    try:
        with database.connect() as connection:
            names = sa.inspect(connection).get_table_names()
            query = {name: sa.select(sa.text("*")).select_from(sa.table(name)) for name in names}
            return {name: sorted(str(row) for row in connection.execute(query[name])) for name in names}
    finally:
        database.close()
