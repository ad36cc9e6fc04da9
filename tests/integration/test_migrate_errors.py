"""What stands in a migration's way gets its name, a hint and its exit code, and nothing is half done."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Cli, Completed
from tests.support.disks import small_disk
from tests.support.handmade import make_legacy

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import differences, take_snapshot
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.locks import RunLock

Run = Callable[..., Completed]


@pytest.fixture
def migrate(invoke: Run) -> Run:
    def migrate(url: str, *arguments: str | Path) -> Completed:
        return invoke("-o", "json", "-q", "--database", url, "--layout", "mentor", "migrate", *arguments)

    return migrate


def answer(completed: Completed) -> tuple[int, str]:
    """The exit code and the error's name."""
    return completed.exit_code, completed.json["errors"][0]["code"]


def _make_mentor(url: str) -> None:
    database = Database(url)
    make_legacy(database, "mentor")
    database.close()


def altered(url: str, **parts: object) -> str:
    return sa.make_url(url).set(**parts).render_as_string(hide_password=False)


@pytest.fixture
def restricted(mariadb_url: str, postgresql_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A legacy database seen by an account that may read but not change it, on each server in turn."""
    url = mariadb_url if request.param == "mariadb" else postgresql_url
    _make_mentor(url)
    name = sa.make_url(url).database
    admin = sa.create_engine(Database(url).url, isolation_level="AUTOCOMMIT")
    account = f"reader_{os.getpid()}_{time.monotonic_ns() % 10**6}"
    if request.param == "mariadb":
        grants = [
            f"CREATE USER {account}@'%%' IDENTIFIED BY 'only-reads'",
            f"GRANT SELECT ON `{name}`.* TO {account}@'%%'",
        ]
        drops = [f"DROP USER {account}@'%%'"]
    else:
        grants = [
            f"CREATE ROLE {account} LOGIN PASSWORD 'only-reads'",
            f"REVOKE CREATE ON SCHEMA public FROM {account}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {account}",
        ]
        drops = [f"DROP OWNED BY {account}", f"DROP ROLE {account}"]
    with admin.connect() as connection:
        for statement in grants:
            connection.exec_driver_sql(statement)
    yield altered(url, username=account, password="only-reads")
    with admin.connect() as connection:
        for statement in drops:
            connection.exec_driver_sql(statement)
    admin.dispose()


@pytest.mark.parametrize(
    "restricted",
    [
        pytest.param("mariadb", marks=pytest.mark.mysql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
    indirect=True,
)
def test_an_account_that_may_not_change_the_schema_is_told_so(migrate: Run, restricted: str) -> None:
    database = Database(restricted)
    with database.connect() as connection:
        before = take_snapshot(connection)
    assert migrate(restricted, "status").json["data"]["state"] == "before"
    refused = migrate(restricted, "up")
    assert answer(refused) == (13, "no_privilege")
    assert "only-reads" not in refused.stdout + refused.stderr
    with database.connect() as connection:
        assert differences(before, take_snapshot(connection)) == []
        assert not sa.inspect(connection).has_table("chatctl_meta")
    database.close()


@pytest.mark.parametrize(
    "engine_name",
    [
        pytest.param("mariadb", marks=pytest.mark.mysql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
    indirect=True,
)
def test_a_wrong_password_is_named_and_not_shown(migrate: Run, engine_url: str) -> None:
    refused = migrate(altered(engine_url, username="nobody-here", password="s3cret-canary"), "status")
    assert answer(refused) == (5, "access_denied")
    assert "s3cret-canary" not in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("scheme", "title"), [("mariadb", "MariaDB"), ("mysql", "MySQL"), ("postgresql", "PostgreSQL")]
)
def test_a_host_that_does_not_exist_is_named(migrate: Run, scheme: str, title: str) -> None:
    refused = migrate(f"{scheme}://somebody@no-such-host.invalid/app", "up")
    assert answer(refused) == (5, "cannot_connect")
    assert refused.json["errors"][0]["message"].startswith(f"{title} database app at no-such-host.invalid: ")


@pytest.mark.parametrize(
    ("url", "expected"),
    [("oracle://somebody@host/app", 4), ("not a url", 4), ("sqlite:////no/such/folder/chat.db", 5)],
)
def test_a_url_that_leads_nowhere_is_refused(migrate: Run, url: str, expected: int) -> None:
    assert migrate(url, "up").exit_code == expected


def test_a_missing_file_is_not_created(migrate: Run, sqlite_url: str) -> None:
    assert answer(migrate(sqlite_url, "up")) == (5, "cannot_connect")
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize(("layout", "hint"), [("mentor", "Check the path."), ("native", "chatctl migrate makes it.")])
def test_a_missing_file_is_said_to_be_missing_where_an_empty_database_is_shown(
    invoke: Run, sqlite_url: str, layout: str, hint: str
) -> None:
    for command, code in (("status", 0), ("check", 7)):
        shown = invoke("-o", "json", "--database", sqlite_url, "--layout", layout, "migrate", command).json
        assert shown["exit_code"] == code
        assert [(item["code"], item["hint"]) for item in shown["warnings"]] == [("no_such_file", hint)]


def test_a_folder_is_no_database(migrate: Run, tmp_path: Path) -> None:
    for command in ("status", "up"):
        refused = migrate(f"sqlite:///{tmp_path}", command)
        assert answer(refused) == (5, "cannot_connect")
        assert "this is a folder" in refused.json["errors"][0]["message"]


def test_an_empty_database_is_told_in_one_sentence_how_it_may_begin(migrate: Run, engine_url: str) -> None:
    if engine_url.startswith("sqlite"):
        sqlite3.connect(engine_url.removeprefix("sqlite:///")).execute("VACUUM").connection.close()
    for command in ("adopt", "plan", "up"):
        refused = migrate(engine_url, command)
        assert answer(refused) == (4, "unrecognised_database")
        assert refused.json["errors"][0]["message"].endswith("holds none of the tables of the layout 'mentor'.")
        assert "chatctl migrate up mentor_0001" in refused.json["errors"][0]["hint"]
    assert migrate(engine_url, "up", "mentor_0001").exit_code == 0
    assert migrate(engine_url, "status").json["data"]["state"] == "before"


@pytest.mark.parametrize("scheme", ["mariadb", "mysql", "postgresql"])
def test_a_script_asks_no_server(migrate: Run, scheme: str) -> None:
    written = migrate(f"{scheme}://somebody@no-such-host.invalid/app", "sql", "--from", "mentor_0001")
    assert written.exit_code == 0, written
    assert written.json["data"]["revisions"] == ["mentor_0002", "mentor_0003"]
    assert "CREATE TABLE chats" in written.json["data"]["script"]


def test_a_script_from_a_later_revision_to_an_earlier_one_is_no_empty_script(migrate: Run, sqlite_url: str) -> None:
    refused = migrate(sqlite_url, "sql", "--from", "mentor_0003", "--to", "mentor_0001")
    assert answer(refused) == (2, "usage")
    assert "--down" in refused.json["errors"][0]["hint"]


def test_a_file_that_is_no_database_is_refused(migrate: Run, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("this is not a database, but it is long enough to look at" * 10)
    assert migrate(f"sqlite:///{file}", "up").exit_code == 5
    assert file.read_text().startswith("this is not")


def test_a_file_that_may_only_be_read_is_refused(sqlite_url: str, run_cli: Cli, tmp_path: Path) -> None:
    _make_mentor(sqlite_url)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    if os.geteuid() == 0:
        # Root writes to read-only files; a file system mounted read-only stops root too.
        mounted = tmp_path / "mounted"
        mounted.mkdir()
        if subprocess.run(["mount", "--bind", tmp_path, mounted], capture_output=True).returncode:
            pytest.skip("this root may not mount")
        subprocess.run(["mount", "-o", "remount,ro,bind", mounted], check=True)
        file = mounted / file.name
    else:
        file.chmod(0o444)
    try:
        arguments = ("-o", "json", "--database", f"sqlite:///{file}", "--layout", "mentor", "migrate")
        assert run_cli(*arguments, "status").json["data"]["state"] == "before"
        refused = run_cli(*arguments, "up")
        assert answer(refused) == (13, "read_only")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", mounted], check=True)


def test_a_full_disk_is_named_and_the_migration_goes_on_once_there_is_space(run_cli: Cli, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "600k") as disk:
        url = f"sqlite:///{disk.folder / 'chat.db'}"
        database = Database(url)
        legacy = make_legacy(database, "mentor")
        rows = legacy.rows()
        database.close()
        arguments = ("-o", "json", "--database", url, "--layout", "mentor", "migrate", "up")
        with disk.filled():
            refused = run_cli(*arguments)
        assert answer(refused) == (13, "disk_full")
        assert legacy.rows() == rows
        assert run_cli(*arguments).exit_code == 0
        assert legacy.rows() == rows
        database.close()


def test_a_second_copy_is_told_who_holds_the_lock(sqlite_url: str, run_cli: Cli, migrate: Run) -> None:
    _make_mentor(sqlite_url)
    assert migrate(sqlite_url, "adopt").exit_code == 0
    holder = Database(sqlite_url)
    with RunLock(Journal(holder), "schema"):
        refused = run_cli("-o", "json", "--database", sqlite_url, "--layout", "mentor", "migrate", "up")
    holder.close()
    assert answer(refused) == (6, "locked")
    assert f"process {os.getpid()}" in refused.json["errors"][0]["message"]
    assert migrate(sqlite_url, "up").exit_code == 0


def test_ctrl_c_while_another_writer_blocks_leaves_nothing_half_done(
    sqlite_url: str, run_cli: Cli, migrate: Run
) -> None:
    _make_mentor(sqlite_url)
    database = Database(sqlite_url)
    assert migrate(sqlite_url, "adopt").exit_code == 0
    file = sqlite_url.removeprefix("sqlite:///")
    with sqlite3.connect(file, isolation_level=None) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        process = run_cli.start("-o", "json", "--database", sqlite_url, "--layout", "mentor", "migrate", "up")
        while process.poll() is None and not _hears_signals(process.pid):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        blocker.execute("ROLLBACK")
    process.communicate(timeout=60)
    assert process.returncode == 130
    with database.connect() as connection:
        assert "chats" not in take_snapshot(connection)
    database.close()
    assert migrate(sqlite_url, "up").exit_code == 0
    assert migrate(sqlite_url, "check").exit_code == 0


def _hears_signals(pid: int) -> bool:
    """Whether the process has a handler of its own for SIGINT and SIGTERM: the command has begun."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return all(caught >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM))


def test_without_a_terminal_nobody_is_asked(sqlite_url: str, run_cli: Cli) -> None:
    _make_mentor(sqlite_url)
    refused = run_cli("-o", "json", "--database", sqlite_url, "--layout", "mentor", "migrate")
    assert answer(refused) == (2, "consent_required")


def test_a_protected_context_needs_its_name(sqlite_url: str, invoke: Run, tmp_path: Path) -> None:
    _make_mentor(sqlite_url)
    (tmp_path / "chatctl.yaml").write_text(
        f"context: prod\ncontexts:\n  prod: {{database: '{sqlite_url}', layout: mentor, protected: true}}\n"
    )
    for command in (["up"], ["adopt"], []):
        refused = invoke("-o", "json", "--yes", "migrate", *command)
        assert answer(refused) == (2, "consent_required")
        assert "--confirm prod" in refused.json["errors"][0]["hint"]
    assert invoke("-o", "json", "-q", "migrate", "up", "--confirm", "prod").exit_code == 0
