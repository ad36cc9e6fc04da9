"""A backup holds SQL and Redis as one, and restores into what was: on every engine, by the command line."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.backups import Invoke, Site, fill_redis, make_site, redis_client, redis_content
from tests.support.databases import Databases
from tests.support.legacy import make_legacy

from chatctl.stores.sql.database import Database


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str) -> Site:
    """A legacy database of the layout mentor, with rows that are hard to carry."""
    make_legacy(engine_url, "mentor")
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "mentor")
    database = Database(engine_url)
    with database.begin() as connection:
        table = sa.Table("messages", sa.MetaData(), autoload_with=connection)
        key = next(iter(table.primary_key.columns)).name
        row = dict(connection.execute(sa.select(table)).mappings().first() or {})
        awkward = "line\n-- Table structure for table `x`\nUNLOCK TABLES;\r\t'\"\\ %s \U0001f600 نیم\u200cفاصله"
        connection.execute(table.insert().values({**row, key: _another(row[key]), "content": awkward}))
    database.close()
    return site


def _another(key: object) -> object:
    return key + 1000 if isinstance(key, int) else f"{str(key)[:-4]}abcd"


@pytest.fixture
def another_url(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes one more empty database on the same server."""

    def make() -> str:
        if engine_name == "sqlite":
            return f"sqlite:///{tmp_path / 'another.db'}"
        databases: Databases = request.getfixturevalue(f"{engine_name}_databases")
        url = databases.create_database()
        request.addfinalizer(lambda: databases.drop_database(url))
        return url

    return make


def test_a_backup_is_taken_listed_shown_verified_and_drilled(site: Site) -> None:
    before = site.rows()

    created = site("create", "--drill")

    assert created["sql"]["rows"] == {name: len(rows) for name, rows in before.items()}
    assert created["drill"]["ok"]
    assert [check["ok"] for check in created["drill"]["checks"]] == [True] * 4
    (listed,) = site("list")["backups"]
    assert (listed["id"], listed["state"], listed["drilled"]["ok"]) == (created["id"], "complete", True)
    assert site("show", created["id"])["files"] == created["files"]
    assert site("verify", created["id"])["ok"]
    assert site.rows() == before


def test_latest_is_the_newest_backup_that_somebody_asked_for(site: Site) -> None:
    (error,) = site("verify", "latest", expected=11)
    assert "no backup" in error["message"]
    backup, rows = site.create(), site.rows()
    site.execute("DELETE FROM messages")

    assert site.restore("latest")["id"] == backup
    site.execute("DELETE FROM messages")
    assert site.restore("latest")["id"] == backup

    assert site.rows() == rows


def test_nobody_else_may_read_a_backup_whatever_the_umask(site: Site) -> None:
    before = os.umask(0)
    try:
        site.create("--drill")
    finally:
        os.umask(before)

    for path in (site.store, *site.store.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_text_that_is_no_utf_8_is_backed_up_like_any_other(site: Site) -> None:
    """SQLite takes any bytes as text."""
    site.execute("UPDATE messages SET content = CAST(x'6cff80' AS TEXT)")
    created = site("create", "--drill")
    assert created["drill"]["ok"], created["drill"]
    site.execute("UPDATE messages SET content = CAST(x'6cff81' AS TEXT)")

    assert site("create")["sql"]["fingerprints"] != created["sql"]["fingerprints"]
    site.restore(created["id"])

    assert site("create")["sql"]["fingerprints"] == created["sql"]["fingerprints"]


def test_a_restore_brings_back_rows_and_schema_and_backs_up_first_what_it_replaces(site: Site) -> None:
    backup, rows, schema = site.create(), site.rows(), site.schema()
    site.execute("DELETE FROM messages", "CREATE TABLE later (id INTEGER PRIMARY KEY)", "INSERT INTO later VALUES (5)")
    changed = site.rows()

    restored = site.restore(backup)

    assert (site.rows(), site.schema()) == (rows, schema)
    assert restored["replaces"] == sorted(changed)
    site.restore(restored["safety_backup"])
    assert site.rows() == changed


def test_nothing_is_replaced_without_the_contexts_name(site: Site) -> None:
    backup = site.create()
    site.execute("DELETE FROM messages")
    changed = site.rows()

    for consent in ([], ["--yes"], ["--confirm", "other"]):
        (error,) = site("restore", backup, *consent, expected=2)
        assert error["code"] == "consent_required"
    assert site("restore", backup, "--dry-run")["dry_run"] is True

    assert site.rows() == changed
    assert len(site("list")["backups"]) == 1


def test_a_backup_is_restored_into_another_database_and_the_old_one_stays(
    site: Site, another_url: Callable[[], str]
) -> None:
    backup, rows = site.create(), site.rows()
    site.execute("DELETE FROM messages")
    changed, another = site.rows(), another_url()

    restored = site("restore", backup, "--into", another)

    assert restored["safety_backup"] is None
    assert Site(site.invoke, another, site.store).rows() == rows
    assert site.rows() == changed


def test_chosen_tables_are_restored_and_the_others_stay(site: Site) -> None:
    backup, rows, schema = site.create(), site.rows(), site.schema()
    site.execute("DELETE FROM messages", "CREATE TABLE later (id INTEGER PRIMARY KEY)")

    restored = site.restore(backup, "--tables", "messages")

    assert restored["rows"] == {"messages": len(rows["messages"])}
    assert site.rows() == rows | {"later": []}
    assert {path: text for path, text in site.schema().items() if not path.startswith("later")} == schema


def test_a_backup_of_chosen_tables_says_so_and_is_restored_by_their_names(site: Site) -> None:
    rows = site.rows()
    backup = site("create", "--tables", "messages")
    assert (backup["sql"]["complete"], list(backup["sql"]["rows"])) == (False, ["messages"])
    site.execute("DELETE FROM messages")

    (error,) = site.restore(backup["id"], expected=2)
    assert "--tables messages" in error["hint"]
    site.restore(backup["id"], "--tables", "messages")

    assert site.rows() == rows
    (error,) = site("create", "--tables", "messages,nonsense", expected=11)
    assert "nonsense" in error["message"]


def test_a_backup_of_another_engine_is_refused(
    site: Site, engine_name: str, tmp_path: Path, another_url: Callable[[], str]
) -> None:
    if engine_name == "sqlite":
        pytest.skip("the other engines are restored into SQLite here")
    backup = site.create()

    (error,) = site("restore", backup, "--into", f"sqlite:///{tmp_path / 'other.db'}", expected=4)

    assert "another engine" in error["message"]


@pytest.mark.parametrize("engine_name", ["mariadb", "postgresql"], indirect=True)
def test_a_failing_tool_never_counts_as_success_and_is_quoted(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("mariadb-dump", "pg_dump"):
        tool = tools / name
        tool.write_text("#!/bin/sh\necho 'the tool has its reasons' >&2\nexit 3\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr("chatctl.stores.sql.dumps.postgresql.DEBIAN_TOOLS", str(tmp_path / "{major}"))

    (error,) = site("create", expected=1)

    assert "the tool has its reasons" in error["message"]
    assert not list(site.store.iterdir())


@pytest.mark.parametrize("engine_name", ["mariadb", "postgresql"], indirect=True)
def test_a_missing_tool_is_named(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("chatctl.stores.sql.dumps.postgresql.DEBIAN_TOOLS", str(tmp_path / "{major}"))

    (error,) = site("create", expected=4)

    assert error["code"] == "missing_tool"


# --- Redis --------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, redis_url: str) -> Site:
    """The layout simorgh: sessions in Redis, an archive in SQL."""
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "simorgh", redis_url)
    assert invoke("migrate", "--yes").exit_code == 0
    fill_redis(redis_url)
    return site


def archive(site: Site, *sessions: str) -> None:
    """Puts sessions into the SQL archive, as the application's other half would."""
    site.execute(
        *(
            "INSERT INTO archived_sessions (chat_id, user_id, chat_name, chat_type, metadata, created_at, last_active,"
            f" archived_at) VALUES ('{session}', 'u1', 'n', 'general', '{{}}', '2025-12-01 00:00:00',"
            " '2025-12-01 00:00:00', '2025-12-01 00:00:00')"
            for session in sessions
        )
    )


def test_redis_comes_back_with_every_key_and_its_time_limit(pair: Site, redis_url: str) -> None:
    before = redis_content(redis_url)
    created = pair("create", "--drill")
    assert (created["redis"]["keys"], created["drill"]["ok"]) == (len(before), True)
    assert created["redis"]["counters"] == {"general:202512": 41, "project:AB-1": 7}
    with redis_client(redis_url) as client:
        client.flushall()
        client.set("session:later", "x")
        client.set("foreign", "stays")

    pair.restore(created["id"])

    assert redis_content(redis_url) == before | {(0, "foreign"): b"stays"}
    with redis_client(redis_url) as client:
        assert 3000 < client.ttl("session:G-202512-000041") <= 3600


@pytest.mark.parametrize(
    ("live", "archived", "expected"),
    [(None, (), 41), (12, (), 41), (99, (), 99), (12, ("G-202512-000077",), 77), (None, ("G-202512-000040",), 41)],
)
@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_counter_is_raised_to_the_highest_number_known_and_never_lowered(
    pair: Site, redis_url: str, live: int | None, archived: tuple[str, ...], expected: int
) -> None:
    archive(pair, *archived)
    backup = pair.create()
    with redis_client(redis_url) as client:
        client.flushall()
        if live is not None:
            client.set("session:counter:general:202512", live)

        pair.restore(backup)

        assert int(client.get("session:counter:general:202512") or 0) == expected


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_was_issued_after_the_backup_still_counts_when_redis_is_gone(pair: Site, redis_url: str) -> None:
    backup = pair.create()
    archive(pair, "G-202512-000090")
    with redis_client(redis_url) as client:
        client.flushall()

        pair.restore(backup)

        assert int(client.get("session:counter:general:202512") or 0) == 90


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_another_applications_key_is_not_replaced_without_the_contexts_name(pair: Site, redis_url: str) -> None:
    with redis_client(redis_url) as client:
        client.flushall()
        client.set("foreign", "old")
        backup = pair.create()
        client.set("foreign", "new")

        (error,) = pair("restore", backup, "--redis-only", "--yes", expected=2)
        assert (error["code"], client.get("foreign")) == ("consent_required", b"new")
        safety = pair.restore(backup, "--redis-only")["safety_backup"]
        assert client.get("foreign") == b"old"
        pair.restore(safety, "--redis-only")
        assert client.get("foreign") == b"new"


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_each_half_is_restored_alone(pair: Site, redis_url: str) -> None:
    archive(pair, "G-202512-000001")
    backup, rows, keys = pair.create(), pair.rows(), redis_content(redis_url)
    pair.execute("DELETE FROM archived_sessions")
    with redis_client(redis_url, 1) as client:
        client.flushdb()
    emptied = redis_content(redis_url)

    pair.restore(backup, "--sql-only")
    assert (pair.rows(), redis_content(redis_url)) == (rows, emptied)
    pair.execute("DELETE FROM archived_sessions")
    pair.restore(backup, "--redis-only")
    assert redis_content(redis_url) == keys
    assert pair.rows()["archived_sessions"] == []


# --- others on the same server ------------------------------------------------------------------------------


def test_a_restore_waits_for_no_migration_and_says_who_is_in_the_way(site: Site) -> None:
    backup, rows = site.create(), site.rows()
    database = Database(site.url)
    with database.engine.connect() as connection:
        assert database.dialect.try_lock(connection, "chatctl_schema")
        (error,) = site.restore(backup, expected=6)
        database.dialect.unlock(connection, "chatctl_schema")
    database.close()

    assert error["code"] == "locked"
    assert site.rows() == rows
    assert len(site("list")["backups"]) == 1


def test_a_replica_is_read_in_the_place_of_the_database(site: Site, another_url: Callable[[], str]) -> None:
    backup, rows, replica = site.create(), site.rows(), another_url()
    site("restore", backup, "--into", replica)
    site.execute("DELETE FROM messages")

    created = site("create", "--from-replica", replica)

    assert created["sql"]["rows"] == {name: len(found) for name, found in rows.items()}


@pytest.mark.parametrize("engine_name", ["mariadb", "postgresql"], indirect=True)
def test_an_account_that_may_make_no_database_is_told_so_and_nothing_stays(
    site: Site, engine_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = site.create()
    url = sa.make_url(site.url)
    account = f"reader_{str(url.database)[-8:]}"
    if engine_name == "mariadb":
        made = f"CREATE USER {account}@'%' IDENTIFIED BY 'pw-of-a-reader'"
        allowed = f"GRANT SELECT ON {url.database}.* TO {account}@'%'"
    else:
        made = f"CREATE ROLE {account} LOGIN PASSWORD 'pw-of-a-reader'"
        allowed = f"GRANT USAGE ON SCHEMA public TO {account}"
    site.execute(made, allowed)
    reader = url.set(username=account, password="pw-of-a-reader").render_as_string(hide_password=False)
    monkeypatch.setenv("CHATCTL_DATABASE", reader)

    try:
        (error,) = site("drill", backup, expected=13)
    finally:
        monkeypatch.setenv("CHATCTL_DATABASE", site.url)
        site.execute(*([f"DROP OWNED BY {account}"] * (engine_name == "postgresql")), f"DROP USER {account}")

    assert error["code"] == "no_privilege"
    assert site("show", backup)["drilled"] is None


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_other_schemas_come_back_and_the_connections_own_may_be_any(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sa.make_url(site.url).database
    site.execute(
        "CREATE SCHEMA app",
        "CREATE TABLE app.own (id INTEGER PRIMARY KEY)",
        "INSERT INTO app.own VALUES (1)",
        "CREATE SCHEMA other",
        "CREATE TABLE other.theirs (id INTEGER PRIMARY KEY)",
        "INSERT INTO other.theirs VALUES (2)",
        f'ALTER DATABASE "{name}" SET search_path TO app, public',
    )
    created = site("create", "--drill")
    assert created["drill"]["ok"], created["drill"]
    site.execute("DELETE FROM app.own", "DROP SCHEMA other CASCADE", "DELETE FROM public.messages")

    restored = site.restore(created["id"])

    assert restored["rows"] == created["sql"]["rows"]
    assert site.rows()["own"] == ["{'id': 1}"]
