"""A rollback says beforehand what it loses, and leaves the legacy schema and rows as they were; on every engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.backups import Invoke, Site, make_site, redis_client
from tests.support.legacy import make_legacy

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.journal.flags import RollbackFlags

Chatctl = Callable[..., Any]

_LEGACY = ("users", "mentors", "messages")


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str) -> Site:
    """Users, mentors and messages without chats."""
    make_legacy(engine_url, "mentor")
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "mentor")
    q = "`" if "mysql" in engine_url or "mariadb" in engine_url else '"'
    rows = ", ".join(
        f"('m{number:03d}', 'old-{number % 7}', 'guide-{number % 3}', 'user', 'text {number} \U0001f600',"
        f" '2025-03-{1 + number % 28:02d} 10:00:00.123')"
        for number in range(200)
    )
    site.execute(
        f"INSERT INTO messages (id, {q}userId{q}, {q}mentorId{q}, role, content, {q}createdAt{q}) VALUES {rows}"
    )
    return site


@pytest.fixture
def chatctl(invoke: Invoke) -> Chatctl:
    """The answer of a command, which must end with `expected`."""

    def run(*arguments: str, expected: int = 0) -> Any:
        answer = invoke(*arguments, "--output", "json")
        assert answer.exit_code == expected, answer
        return answer.json

    return run


def quoted(site: Site, text: str) -> str:
    """The statement with the engine's own quotes around names."""
    return text.replace('"', "`") if "mysql" in site.url or "mariadb" in site.url else text


def write_since(site: Site) -> None:
    """What the application does while chats are there: in its old way, in chats of the run's, in chats of its own."""
    (chat, owner) = _chat_of_the_run(site)
    statements = [
        "INSERT INTO users (id) VALUES ('new-user')",
        *(_message(f"plain-{number}", "old-1", None) for number in range(4)),
        *(_message(f"grown-{number}", owner, chat) for number in range(3)),
        *(
            f"INSERT INTO chats (id, \"userId\", title, \"updatedAt\") VALUES ('own-{number}', 'new-user', 'Mine',"
            " '2026-11-01 10:00:00')"
            for number in range(2)
        ),
        *(_message(f"mine-{number}", "new-user", "own-0") for number in range(5)),
    ]
    site.execute(*(quoted(site, statement) for statement in statements))


def _message(identity: str, user: str, chat: str | None) -> str:
    link = f"'{chat}'" if chat else "NULL"
    return (
        'INSERT INTO messages (id, "userId", "mentorId", role, content, "chatId") VALUES'
        f" ('{identity}', '{user}', 'guide-1', 'user', 'written since', {link})"
    )


def _chat_of_the_run(site: Site) -> tuple[str, str]:
    database = Database(site.url)
    with database.connect() as connection:
        row = connection.exec_driver_sql(quoted(site, 'SELECT id, "userId" FROM chats ORDER BY id')).first()
    database.close()
    assert row is not None
    return str(row[0]), str(row[1])


def tables(site: Site) -> list[str]:
    """Every table that is there."""
    database = Database(site.url)
    try:
        with database.connect() as connection:
            return sa.inspect(connection).get_table_names()
    finally:
        database.close()


def counts(site: Site) -> dict[tuple[str, str | None], int]:
    """The rows of chats and messages, and the messages that name a chat."""
    rows = site.rows()
    linked = sum("'chatId': None" not in row for row in rows["messages"])
    return {("chats", None): len(rows.get("chats", [])), ("messages", "chatId"): linked}


def test_migrate_regroup_writes_rollback_leaves_the_legacy_state_and_loses_what_the_plan_said(
    site: Site, chatctl: Chatctl
) -> None:
    rows, schema = site.rows(), site.schema()
    chatctl("migrate", "--yes")
    made = chatctl("regroup", "run")["data"]
    assert made["chats_created"] > 5
    write_since(site)
    present = counts(site)

    planned = chatctl("rollback", "plan")["data"]

    assert [step["step"] for step in planned["steps"]] == ["regroup undo", "migrate down", "verify"]
    lost = {(loss["table"], loss["column"]): loss["rows"] for loss in planned["losses"]}
    grown = present["chats", None] - made["chats_created"]
    assert lost["chats", None] == grown + 1  # the application's own, and the one that it has written to
    assert planned["kept"] == {"messages": 12}
    assert site.rows()["chats"], "a plan changes nothing"

    done = chatctl("rollback", "run", "--confirm", "default")["data"]

    assert done["ok"], done["checks"]
    assert done["losses"] == planned["losses"]
    assert Counter(map(str, done["dropped"])) == Counter(map(str, planned["losses"]))
    after = site.rows()
    since = {name: [row for row in after[name] if row not in rows[name]] for name in _LEGACY}
    assert {name: [row for row in after[name] if row in rows[name]] for name in _LEGACY} == {
        name: rows[name] for name in _LEGACY
    }
    assert (len(since["messages"]), len(since["mentors"])) == (12, 0)
    assert not [name for name in tables(site) if name.startswith(("chatctl_rollback", "chatctl_regroup"))]
    assert site.schema() == schema
    assert chatctl("migrate", "status")["data"]["current"] == ["mentor_0001"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_repeating_a_rollback_does_nothing_and_never_goes_one_further_back(site: Site, chatctl: Chatctl) -> None:
    chatctl("migrate", "up", "mentor_0002")
    chatctl("migrate", "up")
    chatctl("rollback", "run", "--confirm", "default")
    assert chatctl("migrate", "status")["data"]["current"] == ["mentor_0002"]

    again = chatctl("rollback", "run", "--confirm", "default")["data"]

    assert (again["to"], again["steps"]) == (None, [])
    assert chatctl("migrate", "status")["data"]["current"] == ["mentor_0002"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_rollback_goes_back_to_the_run_that_is_named(site: Site, chatctl: Chatctl) -> None:
    first = chatctl("migrate", "up", "mentor_0002")["run_id"]
    chatctl("migrate", "up")
    regrouped = chatctl("regroup", "run")["run_id"]

    chatctl("rollback", "run", "--to", regrouped, "--confirm", "default")
    assert (len(site.rows()["chats"]), chatctl("migrate", "status")["data"]["current"]) == (0, ["mentor_0003"])
    assert not [name for name in tables(site) if name.startswith(("chatctl_rollback", "chatctl_regroup"))]
    chatctl("rollback", "run", "--to", first, "--confirm", "default")

    assert chatctl("migrate", "status")["data"]["current"] == ["mentor_0001"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_nothing_goes_back_without_the_contexts_name(site: Site, chatctl: Chatctl) -> None:
    chatctl("migrate", "--yes")

    for consent in ([], ["--yes"], ["--confirm", "other"]):
        assert chatctl("rollback", "run", *consent, expected=2)["errors"][0]["code"] == "consent_required"
    assert chatctl("rollback", "run", "--dry-run")["data"]["dry_run"]

    assert chatctl("migrate", "status")["data"]["current"] == ["mentor_0003"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_saved_plan_is_what_is_run_and_a_stale_one_is_refused(site: Site, chatctl: Chatctl, tmp_path: Path) -> None:
    chatctl("migrate", "--yes")
    chatctl("rollback", "plan", "--out", str(tmp_path / "back.json"))
    chatctl("regroup", "run")
    error = chatctl("rollback", "run", "--plan", str(tmp_path / "back.json"), "--confirm", "default", expected=10)
    assert error["errors"][0]["code"] == "stale_plan"

    chatctl("rollback", "plan", "--out", str(tmp_path / "back.json"))
    assert chatctl("rollback", "run", "--plan", str(tmp_path / "back.json"), "--confirm", "default")["data"]["ok"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_a_purge_archived_comes_back_with_its_messages(site: Site, chatctl: Chatctl) -> None:
    rows, schema = site.rows(), site.schema()
    chatctl("migrate", "--yes")
    chatctl("regroup", "run")
    purged = chatctl("purge", "run", "--older-than", "30d", "--confirm", "default")["data"]
    assert purged["deleted_messages"] > 100

    planned = chatctl("rollback", "plan")["data"]
    done = chatctl("rollback", "run", "--confirm", "default")["data"]

    assert [step["step"] for step in planned["steps"]] == ["purge restore", "regroup undo", "migrate down", "verify"]
    assert done["ok"], done["checks"]
    assert ({name: site.rows()[name] for name in _LEGACY}, site.schema()) == (rows, schema)


@pytest.mark.parametrize(
    "engine_name", ["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.slow)], indirect=True
)
def test_what_cannot_be_undone_comes_back_from_the_backup_that_was_taken_first(site: Site, chatctl: Chatctl) -> None:
    rows, schema = site.rows(), site.schema()
    migrated = chatctl("migrate", "--yes", "--backup")["run_id"]
    chatctl("regroup", "run")
    chatctl("purge", "run", "--older-than", "30d", "--archive", "none", "--confirm", "default")
    write = quoted(site, _message("since-1", "old-1", None))
    site.execute(write)

    planned = chatctl("rollback", "plan")["data"]
    assert [step["step"] for step in planned["steps"]] == ["backup restore", "verify"]
    assert "were not archived" in planned["stuck"][0]
    done = chatctl("rollback", "run", "--confirm", "default")["data"]

    assert done["ok"], done["checks"]
    assert (site.rows(), site.schema()) == (rows, schema)
    assert site("show", done["safety_backup"])["reason"]
    assert chatctl("rollback", "run", "--to", migrated, "--confirm", "default")["data"]["to"] is None
    assert {run["command"] for run in chatctl("runs", "list")["data"]["runs"]} >= {"rollback run", "backup restore"}


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_without_a_backup_what_cannot_be_undone_is_refused_and_nothing_changes(site: Site, chatctl: Chatctl) -> None:
    chatctl("migrate", "--yes")
    chatctl("regroup", "run")
    chatctl("purge", "run", "--older-than", "30d", "--archive", "none", "--confirm", "default")
    before = site.rows()

    error = chatctl("rollback", "run", "--confirm", "default", expected=9)["errors"][0]

    assert error["code"] == "no_way_back"
    assert site.rows() == before


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_the_environment_comes_back_and_its_values_are_never_shown(
    site: Site, chatctl: Chatctl, tmp_path: Path, invoke: Invoke
) -> None:
    env = tmp_path / ".env"
    env.write_text("OLD=1\nSECRET=canary-before\n")
    chatctl("migrate", "--yes", "--backup")
    env.write_text("NEW=2\nSECRET=canary-after\n")

    planned = invoke("rollback", "plan", "--output", "json")
    done = invoke("rollback", "run", "--confirm", "default", "--output", "json")

    assert "It changes NEW, OLD, SECRET." in planned.stdout
    assert done.json["data"]["ok"]
    assert env.read_text() == "OLD=1\nSECRET=canary-before\n"
    assert (tmp_path / ".env.before-rollback").read_text() == "NEW=2\nSECRET=canary-after\n"
    assert all("canary" not in text for run in (planned, done) for text in (run.stdout, run.stderr))


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_the_layouts_flags_are_set_until_the_schema_is_migrated_again(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, chatctl: Chatctl
) -> None:
    make_legacy(engine_url, "toolboxai")
    make_site(invoke, monkeypatch, tmp_path, engine_url, "toolboxai")
    database = Database(engine_url)

    def flags() -> dict[str, bool]:
        with database.connect() as connection:
            return RollbackFlags(Journal(database), "toolboxai").read(connection)

    assert flags() == {}
    chatctl("migrate", "--yes")
    done = chatctl("rollback", "run", "--confirm", "default")["data"]
    assert flags() == done["flags"] == {"PUSHER_ENABLED": False, "AGENT_SERVICE_ENABLED": False, "WS_ENABLED": True}
    assert any("git checkout" in each for each in done["by_hand"])
    chatctl("migrate", "--yes")
    assert flags() == {}
    database.close()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_counters_are_raised_and_never_lowered_although_what_bears_witness_goes(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, redis_url: str, chatctl: Chatctl
) -> None:
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "simorgh", redis_url)
    chatctl("migrate", "--yes")
    created = [chatctl("sessions", "create", "--user", "ann")["data"]["id"] for _ in range(3)]
    month = created[0].split("-")[1]
    site.execute(
        "INSERT INTO archived_sessions (chat_id, user_id, chat_name, chat_type, metadata, created_at, last_active,"
        f" archived_at) VALUES ('G-{month}-000041', 'u1', 'n', 'general', '{{}}', '2025-12-01 00:00:00',"
        " '2025-12-01 00:00:00', '2025-12-01 00:00:00')"
    )

    planned = chatctl("rollback", "plan")["data"]
    assert [step["step"] for step in planned["steps"]] == ["migrate down", "counters", "verify"]
    assert planned["losses"] == [{"table": "archived_sessions", "column": None, "rows": 1}]
    done = chatctl("rollback", "run", "--confirm", "default")["data"]

    assert done["ok"], done["checks"]
    assert site.rows() == {}
    with redis_client(redis_url) as client:
        assert int(client.get(f"session:counter:general:{month}") or 0) >= 41
    assert any("session IDs were issued" in each for each in planned["by_hand"])
    chatctl("migrate", "--yes")
    assert chatctl("sessions", "create", "--user", "ben")["data"]["id"] == f"G-{month}-000042"


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "layout", ["native", "toolboxai", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ray", "worker"))]
)
def test_every_layout_goes_back_to_what_it_was(
    layout: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, chatctl: Chatctl
) -> None:
    make_legacy(engine_url, layout)
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, layout)
    before = (site.rows(), site.schema())
    chatctl("migrate", "--yes")
    if layout in ("native", "ray"):
        assert chatctl("regroup", "run")["data"]["messages_moved"] >= 0

    done = chatctl("rollback", "run", "--confirm", "default")["data"]

    assert done["ok"], done["checks"]
    assert (site.rows(), site.schema()) == before
