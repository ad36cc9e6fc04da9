"""From an application's own legacy database to the new shape, through contract, and back to what it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Completed
from tests.support.handmade import WITH_DATA, LegacyDatabase, make_legacy

from chatctl.layouts import builtin_names
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import differences, take_snapshot

Run = Callable[..., Completed]


@pytest.fixture
def database(engine_url: str) -> Iterator[Database]:
    opened = Database(engine_url)
    yield opened
    opened.close()


@pytest.fixture(params=builtin_names())
def layout(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def legacy(database: Database, layout: str) -> LegacyDatabase:
    return make_legacy(database, layout)


@pytest.fixture
def migrate(invoke: Run, engine_url: str, layout: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`migrate("up")` runs `chatctl migrate up` on the database, for JSON."""
    monkeypatch.setenv("CHATCTL_DATABASE", engine_url)
    monkeypatch.setenv("CHATCTL_LAYOUT", layout)

    def migrate(*arguments: str | Path) -> Completed:
        return invoke("--output", "json", "--quiet", "migrate", *arguments)

    return migrate


def schema_of(database: Database) -> dict[str, str]:
    with database.connect() as connection:
        return take_snapshot(connection)


def put_every_message_in_a_chat(legacy: LegacyDatabase) -> None:
    """What regroup will do, so that contract may be applied."""
    with legacy.database.begin() as connection:
        for statement in (
            """INSERT INTO chats (id, {userId}, {mentorId}, {updatedAt})
               SELECT CONCAT('c', MIN(id)), {userId}, {mentorId}, MAX({createdAt}) FROM messages
               GROUP BY {userId}, {mentorId}""",
            """UPDATE messages SET {chatId} = (SELECT chats.id FROM chats WHERE chats.{userId} = messages.{userId}
               AND COALESCE(chats.{mentorId}, '') = COALESCE(messages.{mentorId}, ''))""",
        ):
            quote = connection.dialect.identifier_preparer.quote_identifier
            names = {name: quote(name) for name in ("userId", "mentorId", "chatId", "createdAt", "updatedAt")}
            text = statement.format(**names)
            if connection.dialect.name == "sqlite":
                text = text.replace("CONCAT('c', MIN(id))", "'c' || MIN(id)")
            connection.exec_driver_sql(text)


def test_a_legacy_database_is_adopted_carried_through_contract_and_brought_back(
    legacy: LegacyDatabase, migrate: Run, layout: str
) -> None:
    schema, rows = schema_of(legacy.database), legacy.rows()

    adopted = migrate("adopt")
    assert adopted.exit_code == 0, adopted
    assert adopted.json["data"]["state"] == "before"
    assert differences(schema, schema_of(legacy.database)) == []

    planned = migrate("plan")
    steps = planned.json["data"]["steps"]
    assert migrate("check").exit_code == 7
    applied = migrate("up")
    assert applied.exit_code == 0, applied
    assert applied.json["data"]["applied"] == [step["revision"] for step in steps]
    assert applied.json["data"]["statements"] == sum(len(step["statements"]) for step in steps)
    checked = migrate("check")
    assert checked.exit_code == 0, checked
    assert checked.json["data"]["ok"] is True
    status = migrate("status").json["data"]
    assert (status["state"], status["pending"]) == ("after", [])
    assert legacy.rows() == rows

    if layout == "mentor":
        put_every_message_in_a_chat(legacy)
    contracted = migrate("up", "--phase", "contract", "--confirm", "default")
    assert contracted.exit_code == 0, contracted
    back = migrate("down", f"{layout}_0001", "--confirm", "default")
    assert back.exit_code == 0, back
    assert differences(schema, schema_of(legacy.database)) == []
    assert legacy.rows() == rows
    assert migrate("check").exit_code == 7

    history = migrate("history").json["data"]["runs"]
    commands = [run["command"] for run in history]
    assert commands[0] == "migrate down"
    assert commands[-1] == "migrate adopt"
    assert all(run["status"] == "done" for run in history)


def test_nothing_is_left_to_do_the_second_time(legacy: LegacyDatabase, migrate: Run) -> None:
    first, second = migrate("up"), migrate("up")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.json["data"]["applied"]
    assert second.json["data"]["applied"] == []


@pytest.mark.parametrize("layout", ["mentor"])
def test_bare_migrate_plans_asks_and_applies(legacy: LegacyDatabase, migrate: Run) -> None:
    refused = migrate()
    assert refused.exit_code == 2
    assert refused.json["errors"][0]["code"] == "consent_required"
    assert "--yes" in refused.json["errors"][0]["hint"]
    assert migrate("status").json["data"]["state"] == "before"
    assert migrate("--yes").exit_code == 0
    assert migrate("status").json["data"]["state"] == "after"


@pytest.mark.parametrize("layout", ["mentor"])
def test_contract_refuses_while_a_message_would_lose_its_owner(legacy: LegacyDatabase, migrate: Run) -> None:
    assert migrate("up").exit_code == 0
    schema, rows = schema_of(legacy.database), legacy.rows()
    refused = migrate("up", "--phase", "contract", "--confirm", "default")
    assert refused.exit_code == 9, refused
    assert "4 messages" in refused.json["errors"][0]["message"]
    assert differences(schema, schema_of(legacy.database)) == []
    assert legacy.rows() == rows
    assert migrate("check").exit_code == 0


@pytest.mark.parametrize("layout", ["mentor"])
def test_going_back_says_which_rows_go_and_needs_the_context_s_name(legacy: LegacyDatabase, migrate: Run) -> None:
    assert migrate("up").exit_code == 0
    put_every_message_in_a_chat(legacy)
    shown = migrate("down", "mentor_0001", "--dry-run")
    assert shown.json["data"]["losses"] == [
        {"table": "chats", "column": None, "rows": 3},
        {"table": "messages", "column": "chatId", "rows": 4},
    ]
    refused = migrate("down", "mentor_0001", "--yes")
    assert refused.exit_code == 2
    assert "--confirm default" in refused.json["errors"][0]["hint"]
    assert migrate("status").json["data"]["state"] == "after"
    assert migrate("down", "mentor_0001", "--confirm", "somebody-else").exit_code == 2
    assert migrate("down", "mentor_0001", "--confirm", "default").exit_code == 0


@pytest.mark.parametrize("layout", ["mentor"])
def test_going_back_needs_the_context_s_name_where_no_row_is_lost_too(legacy: LegacyDatabase, migrate: Run) -> None:
    assert migrate("up").exit_code == 0
    refused = migrate("down", "mentor_0001")
    assert (refused.exit_code, refused.json["errors"][0]["code"]) == (2, "consent_required")
    assert migrate("status").json["data"]["current"] == ["mentor_0003"]
    assert migrate("down", "mentor_0003").exit_code == 0, "nothing to take back, nothing to agree to"


@pytest.mark.parametrize("layout", ["mentor", "ray"])
def test_a_plan_made_before_the_schema_changed_is_refused(
    legacy: LegacyDatabase, migrate: Run, layout: str, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    assert migrate("plan", "--out", plan).exit_code == 0
    table = "messages" if layout == "mentor" else "conversations"
    with legacy.database.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN surprise integer")
    schema = schema_of(legacy.database)
    refused = migrate("up", "--plan", plan)
    assert refused.exit_code == 10, refused
    assert refused.json["errors"][0]["code"] == "stale_plan"
    assert differences(schema, schema_of(legacy.database)) == []
    assert migrate("status").json["data"]["state"] == "before"


@pytest.mark.parametrize("layout", WITH_DATA)
def test_a_saved_plan_is_applied_though_rows_were_added_since(
    legacy: LegacyDatabase, migrate: Run, layout: str, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    assert migrate("plan", "--out", plan).exit_code == 0
    table = {"mentor": "users", "ray": "conversations", "toolboxai": "users"}[layout]
    values = {"mentor": "(id, email) VALUES ('new', 'new@example.org')", "ray": "(message) VALUES ('new')"}.get(
        layout, "(id) VALUES ('55555555-5555-4555-8555-555555555555')"
    )
    with legacy.database.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO {table} {values}")
    assert migrate("up", "--plan", plan).exit_code == 0
    saved = json.loads(plan.read_text())["data"]
    assert migrate("history").json["data"]["runs"][0]["revisions"] == [step["revision"] for step in saved["steps"]]


@pytest.mark.parametrize("layout", ["mentor"])
def test_drift_is_a_finding_that_names_what_differs(legacy: LegacyDatabase, migrate: Run) -> None:
    assert migrate("up").exit_code == 0
    with legacy.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE chats ADD COLUMN surprise integer")
    drifted = migrate("check")
    assert drifted.exit_code == 9
    assert [item["where"] for item in drifted.json["data"]["drift"]] == ["chats.surprise"]


@pytest.mark.parametrize("layout", ["mentor"])
def test_drift_from_before_a_migration_stays_drift_after_it(legacy: LegacyDatabase, migrate: Run) -> None:
    assert migrate("adopt").exit_code == 0
    with legacy.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE users ADD COLUMN surprise integer")
    assert migrate("check").exit_code == 9
    assert migrate("up").exit_code == 0
    assert [item["where"] for item in migrate("check").json["data"]["drift"]] == ["users.surprise"]


@pytest.mark.parametrize("layout", ["mentor", "toolboxai"])
def test_a_mixed_database_is_not_adopted_and_what_differs_is_listed(legacy: LegacyDatabase, migrate: Run) -> None:
    with legacy.database.begin() as connection:
        for table in ("chats", "agent_metrics"):
            connection.execute(sa.schema.CreateTable(sa.Table(table, sa.MetaData(), sa.Column("id", sa.Integer))))
    schema = schema_of(legacy.database)
    for command in ("adopt", "up"):
        refused = migrate(command)
        assert refused.exit_code == 4
        assert refused.json["errors"][0]["code"] == "unrecognised_database"
        assert "mixed" in refused.json["errors"][0]["message"]
    checked = migrate("check")
    assert checked.exit_code == 9
    assert [item["message"] for item in checked.json["data"]["drift"]] == migrate("status").json["data"]["differs"]
    assert differences(schema, schema_of(legacy.database)) == []


def test_an_unknown_revision_is_named_with_those_there_are(legacy: LegacyDatabase, migrate: Run, layout: str) -> None:
    refused = migrate("up", "nonsense")
    assert refused.exit_code == 11
    assert f"{layout}_0001" in refused.json["errors"][0]["hint"]
