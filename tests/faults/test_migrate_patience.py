"""A change that can't have its lock gives up in the end, and what a killed one has left half made is made anew."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.support.cli import Cli, Completed
from tests.support.legacy import make_legacy

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot

SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]
INDEX = "messages_chatId_createdAt_idx"


@contextmanager
def old_transaction(url: str) -> Iterator[str]:
    """A transaction that has read the table and stays open; the server's number for its session."""
    database = Database(url)
    with database.connect() as connection:
        connection.exec_driver_sql("SELECT COUNT(*) FROM messages").all()
        yield database.dialect.sessions.identity(connection).partition("@")[0]
    database.close()


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_it_gives_up_after_its_time_and_the_same_command_goes_on_later(
    engine_url: str, invoke: Callable[..., Completed], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_legacy(engine_url, "mentor")
    for name, value in _settings(engine_url).items():
        monkeypatch.setenv(name, value)
    with old_transaction(engine_url) as session:
        began = time.monotonic()
        refused = invoke("-o", "json", "migrate", "up", "--give-up-after", "2")
        # Far less than the ten minutes that it would be tried for otherwise, on a busy machine too.
        assert time.monotonic() - began < 120
    assert refused.exit_code == 6
    error = refused.json["errors"][0]
    assert error["code"] == "in_the_way"
    assert f"session {session} (" in error["hint"]
    done = invoke("-o", "json", "migrate", "up")
    assert done.exit_code == 0, done
    assert "mentor_0003" in done.json["data"]["applied"]


@pytest.mark.postgresql
@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_an_index_that_a_kill_left_invalid_is_built_anew(engine_url: str, run_cli: Cli) -> None:
    make_legacy(engine_url, "mentor")
    first = run_cli("migrate", "up", "mentor_0002", env=_settings(engine_url))
    assert first.exit_code == 0, first
    database = Database(engine_url)
    with _old_snapshot(database):
        # Its snapshot keeps the build from its end, and no lock keeps the column from being added.
        migration = run_cli.start("migrate", "up", env=_settings(engine_url))
        _wait_for_invalid_index(database, migration)
        migration.kill()
        migration.communicate()
        _end_the_build(database)
    assert _index(database).endswith("INVALID")
    again = run_cli("-o", "json", "migrate", "up", env=_settings(engine_url))
    assert again.exit_code == 0, again
    assert again.json["data"]["resumed"] is True
    assert _index(database) == "(chatId, createdAt)"
    database.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_build_that_waits_for_somebody_names_them_and_gives_up_too(engine_url: str, run_cli: Cli) -> None:
    make_legacy(engine_url, "mentor")
    first = run_cli("migrate", "up", "mentor_0002", env=_settings(engine_url))
    assert first.exit_code == 0, first
    database = Database(engine_url)
    with _old_snapshot(database):
        refused = run_cli("-o", "json", "migrate", "up", "--give-up-after", "8", env=_settings(engine_url))
    assert refused.exit_code == 6, refused
    assert "mentor_0003 may be waiting. In the way: session " in refused.stderr
    assert "In the way: session " in refused.json["errors"][0]["hint"]
    again = run_cli("migrate", "up", env=_settings(engine_url))
    assert again.exit_code == 0, again
    assert "was half done, and is begun anew" in again.stderr
    assert _index(database) == "(chatId, createdAt)"
    database.close()


@contextmanager
def _old_snapshot(database: Database) -> Iterator[None]:
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.exec_driver_sql("SELECT 1").all()
        yield


def _wait_for_invalid_index(database: Database, migration: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not _index(database).endswith("INVALID"):
        assert time.monotonic() < deadline
        assert migration.poll() is None, migration.communicate()
        time.sleep(0.05)


def _end_the_build(database: Database) -> None:
    """As the server does by itself once it notices that nobody waits for the answer, which takes it a while."""
    builds = "FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%%' AND datname = current_database()"
    with database.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid, 5000) {builds}").all()


def _index(database: Database) -> str:
    with database.connect() as connection:
        return take_snapshot(connection, ["messages"]).get(f"messages index {INDEX}", "")


def _settings(url: str) -> dict[str, str]:
    return {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor"}
