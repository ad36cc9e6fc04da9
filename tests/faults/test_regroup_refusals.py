"""What stands in a regrouping's way is named, with the right exit code, and nothing is half done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.cli import Completed
from tests.support.disks import SmallDisk, small_disk
from tests.support.regrouping import Mentored, Message

from chatctl.stores.sql.database import Database

Invoke = Callable[..., Completed]

START = datetime(2026, 1, 1, tzinfo=UTC)


def flat(url: str, count: int = 60, text: str = "text") -> Mentored:
    made = Mentored(url)
    made.fill(Message(f"id{n:05d}", f"u{n % 7}", f"m{n % 3}", START + timedelta(minutes=n), text) for n in range(count))
    return made


def regroup(invoke: Invoke, url: str, *arguments: str, layout: str = "mentor") -> Completed:
    env = {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": layout}
    return invoke("regroup", *arguments, "--output", "json", env=env)


@pytest.mark.parametrize("engine_name", [
    pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)
])  # fmt: skip
def test_an_account_that_may_only_read_can_plan_and_is_refused_the_run(run_cli: Invoke, engine_url: str) -> None:
    mentored = flat(engine_url)
    before = mentored.fingerprints()
    account = f"reader_{os.urandom(4).hex()}"
    url = sa.make_url(engine_url)
    if url.get_backend_name() == "mysql":
        grants = [f"CREATE USER {account} IDENTIFIED BY 'reads'", f"GRANT SELECT ON `{url.database}`.* TO {account}"]
        drops = [f"DROP USER {account}"]
    else:
        grants = [
            f"CREATE ROLE {account} LOGIN PASSWORD 'reads'",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {account}",
        ]
        drops = [f"DROP OWNED BY {account}", f"DROP ROLE {account}"]
    for statement in grants:
        mentored.execute(sa.text(statement))
    reader = url.set(username=account, password="reads").render_as_string(hide_password=False)

    planned = regroup(run_cli, reader, "plan")
    refused = regroup(run_cli, reader, "run")

    assert (planned.exit_code, planned.json["data"]["messages_to_move"]) == (0, 60)
    assert (refused.exit_code, refused.json["errors"][0]["code"]) == (13, "no_privilege"), refused
    assert mentored.fingerprints() == before
    for statement in drops:
        mentored.execute(sa.text(statement))
    mentored.close()


def test_without_an_index_the_plan_warns_and_the_run_still_comes_to_its_end(run_cli: Invoke, engine_url: str) -> None:
    mentored = flat(engine_url)
    on = " ON messages" if "mysql" in engine_url else ""
    with mentored.database.begin() as connection:
        if on:
            key = sa.inspect(connection).get_foreign_keys("messages")[0]["name"]
            connection.exec_driver_sql(f"ALTER TABLE messages DROP FOREIGN KEY `{key}`")
        quote = "`" if on else '"'
        connection.exec_driver_sql(f"DROP INDEX {quote}messages_chatId_createdAt_idx{quote}{on}")

    warned = regroup(run_cli, engine_url, "plan")
    done = regroup(run_cli, engine_url, "run")

    assert [warning["code"] for warning in warned.json["warnings"]] == ["missing_index", "missing_rows", "missing_rows"]
    assert (done.exit_code, done.json["data"]["messages_moved"]) == (0, 60)
    assert regroup(run_cli, engine_url, "verify").exit_code == 0
    mentored.close()


def test_a_layout_without_chats_says_that_it_has_none(run_cli: Invoke, sqlite_url: str) -> None:
    Database(sqlite_url).close()
    for words in (("plan",), ("run",)):
        refused = regroup(run_cli, sqlite_url, *words, layout="simorgh")
        assert refused.exit_code == 4, refused
        assert "doesn't say how messages become chats" in refused.json["errors"][0]["message"]


@pytest.mark.parametrize("kind", [
    pytest.param("own_mariadb", marks=pytest.mark.mysql), pytest.param("own_postgresql", marks=pytest.mark.postgresql)
])  # fmt: skip
def test_a_server_that_is_killed_ends_the_run_and_the_same_command_finishes_it(
    run_cli: Invoke, kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(kind)
    url = server.databases.create_database()
    mentored = flat(url, 3000)
    env = {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor"}
    process = run_cli.start("regroup", "run", "--gap", "6h", "--batch-size", "10", env=env)
    messages = mentored.tables["messages"]
    moved = sa.select(sa.func.count(messages.c.chat_id))
    while process.poll() is None:
        with mentored.database.connect() as connection:
            if connection.scalar(moved):
                break
    assert process.poll() is None
    server.kill()
    output = process.communicate(timeout=180)
    assert process.returncode == 5, output
    server.start()
    mentored.database.close()

    done = regroup(run_cli, url, "run", "--gap", "6h")

    assert (done.exit_code, done.json["data"]["messages_moved"], done.json["data"]["resumed"]) == (0, 3000, True), done
    assert regroup(run_cli, url, "verify").exit_code == 0
    mentored.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", "12m") as disk:
        yield disk


def test_a_full_disk_is_named_and_the_same_command_goes_on_once_there_is_room(
    run_cli: Invoke, small: SmallDisk
) -> None:
    url = f"sqlite:///{small.folder / 'chat.db'}"
    mentored = flat(url, 6000, "x" * 300)
    with small.filled(but_bytes=700_000):
        before = mentored.fingerprints(chats=False)["messages"][0]
        mentored.close()
        refused = regroup(run_cli, url, "run", "--gap", "6h", "--batch-size", "500")
    assert (refused.exit_code, refused.json["errors"][0]["code"]) == (13, "disk_full"), refused
    done = regroup(run_cli, url, "run", "--gap", "6h")

    assert (done.exit_code, done.json["data"]["messages_moved"]) == (0, before), done
    assert regroup(run_cli, url, "verify").exit_code == 0


@pytest.mark.parametrize("kind", [
    pytest.param("own_mariadb", marks=pytest.mark.mysql), pytest.param("own_postgresql", marks=pytest.mark.postgresql)
])  # fmt: skip
def test_a_servers_full_disk_is_named_and_the_same_command_goes_on_once_there_is_room(
    run_cli: Invoke, kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(kind)
    url = server.databases.create_database()
    with full_soon(server, sa.make_url(url).database or "", kind) as disk:
        mentored = flat(url, 3000, "x" * 300)
        before = mentored.fingerprints(chats=False)
        mentored.target.journal.ensure()
        mentored.close()
        with disk.filled(but_bytes=300_000):
            refused = regroup(run_cli, url, "run", "--gap", "6h", "--batch-size", "300")
        assert (refused.exit_code, refused.json["errors"][0]["code"]) == (13, "disk_full"), refused
        done = regroup(run_cli, url, "run", "--gap", "6h")

        assert (done.exit_code, done.json["data"]["messages_moved"]) == (0, before["messages"][0]), done
        assert regroup(run_cli, url, "verify").exit_code == 0
        server.stop()


@contextmanager
def full_soon(server: Any, database: str, kind: str) -> Iterator[SmallDisk]:
    """Keeps that database of the server's on a file system of 24 MB; the rest, logs above all, stays where it is."""
    folder = server.data / database if kind == "own_mariadb" else server.folder / "small"
    owner = server.data.stat()
    with small_disk(folder, "24m", f"uid={owner.st_uid}", f"gid={owner.st_gid}", "mode=0700") as disk:
        if kind == "own_postgresql":
            with server.connect(autocommit=True) as connection:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
                connection.execute(f'ALTER DATABASE "{database}" SET TABLESPACE small')
        yield disk


def test_a_table_with_no_rows_is_nothing_to_do(run_cli: Invoke, sqlite_url: str) -> None:
    Mentored(sqlite_url).close()

    planned, done = regroup(run_cli, sqlite_url, "plan"), regroup(run_cli, sqlite_url, "run", "--gap", "6h")

    assert (planned.exit_code, planned.json["data"]["messages_to_move"]) == (0, 0)
    assert (done.exit_code, done.json["data"]["messages_moved"], done.json["data"]["chats_created"]) == (0, 0, 0)
    assert regroup(run_cli, sqlite_url, "verify").exit_code == 0
    assert regroup(run_cli, sqlite_url, "undo", "--confirm", "default").exit_code == 0


def test_outside_of_its_window_a_run_exits_12_and_moves_nothing(run_cli: Invoke, sqlite_url: str) -> None:
    flat(sqlite_url).close()

    early = regroup(run_cli, sqlite_url, "run", "--window", "00:00-00:00")

    assert (early.exit_code, early.json["status"]) == (12, "partial")
    assert regroup(run_cli, sqlite_url, "run").json["data"]["messages_moved"] == 60
