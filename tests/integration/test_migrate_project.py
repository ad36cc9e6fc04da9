"""An application's own Alembic project is planned, applied, checked and taken back as chatctl's revisions are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.alembic_project import COUNT, make_project, revision_id
from tests.support.cli import Completed

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot

Run = Callable[..., Completed]


@pytest.fixture
def location(tmp_path: Path) -> Path:
    return make_project(tmp_path / "shop")


@pytest.fixture
def migrate(invoke: Run, location: Path, engine_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CHATCTL_DATABASE", engine_url)
    monkeypatch.setenv("CHATCTL_MIGRATIONS_SCRIPT_LOCATION", str(location))

    def migrate(*arguments: str) -> Completed:
        return invoke("--output", "json", "migrate", *arguments)

    return migrate


def test_a_project_goes_up_and_comes_down_again(migrate: Run, engine_url: str) -> None:
    every = [revision_id(number) for number in range(1, COUNT + 1)]
    planned = migrate("plan")
    assert planned.exit_code == 0, planned
    assert [step["revision"] for step in planned.json["data"]["steps"]] == every
    assert _tables(engine_url) <= {"sqlite_sequence"}
    up = migrate("up", "--allow-copy")
    assert up.exit_code == 0, up
    assert up.json["data"]["applied"] == every
    assert {"users", "orders", "user_totals", "settings", "shop_version"} <= _tables(engine_url)
    assert _rows(engine_url, "SELECT first, last, email, active FROM users WHERE id = 3") == [
        ("First3", "Last3", "first3 last3", True)
    ]
    assert _rows(engine_url, "SELECT COUNT(*) FROM orders") == [(9,)]
    check = migrate("check")
    assert check.exit_code == 0, check
    assert migrate("status").json["data"]["current"] == [revision_id(COUNT)]
    assert [run["status"] for run in migrate("history").json["data"]["runs"]] == ["done"]
    assert migrate("up").json["data"]["applied"] == []
    down = migrate("down", "base", "--confirm", "default")
    assert down.exit_code == 0, down
    assert {name for name in _tables(engine_url) if not name.startswith("chatctl_")} == {"shop_version"}


def test_a_revision_that_goes_by_rows_says_so_and_applies_what_the_rows_ask_for(migrate: Run) -> None:
    assert migrate("up", revision_id(5)).exit_code == 0
    steps = migrate("plan").json["data"]["steps"]
    dependent = {step["revision"] for step in steps if step["depends_on_rows"]}
    assert dependent == {revision_id(6), revision_id(8), revision_id(18)}


@pytest.mark.parametrize("engine_name", [pytest.param("mariadb", marks=pytest.mark.mysql)], indirect=True)
def test_a_table_is_copied_only_with_consent_and_the_migration_goes_on_where_it_stopped(migrate: Run) -> None:
    refused = migrate("up")
    assert refused.exit_code == 2
    assert "--allow-copy" in refused.json["errors"][0]["hint"]
    assert migrate("status").json["data"]["current"] == [revision_id(15)]
    goes_on = migrate("up", "--allow-copy")
    assert goes_on.exit_code == 0, goes_on
    assert goes_on.json["data"]["resumed"] is True


def test_drift_of_an_application_s_schema_is_found(migrate: Run, engine_url: str) -> None:
    assert migrate("up", revision_id(5)).exit_code == 0
    database = Database(engine_url)
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE by_hand (id int)")
    database.close()
    checked = migrate("check")
    assert checked.exit_code == 9
    assert {item["where"] for item in checked.json["data"]["drift"]} == {"by_hand", "by_hand.id"}


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_revision_that_was_edited_after_it_was_applied_is_refused_with_the_difference(
    migrate: Run, location: Path
) -> None:
    assert migrate("up", revision_id(5)).exit_code == 0
    file = location / "versions" / f"{revision_id(3)}_change.py"
    text = file.read_text()
    file.write_text(f"# a comment is no difference\n{text}")
    assert migrate("plan").exit_code == 0
    file.write_text(text.replace("String(120)", "String(99)"))
    refused = migrate("up")
    assert refused.exit_code == 9
    error = refused.json["errors"][0]
    assert error["code"] == "edited_revision"
    assert "String(99)" in error["message"]
    assert "String(120)" in error["message"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_broken_chain_is_refused_before_anything_runs(migrate: Run, location: Path, engine_url: str) -> None:
    (location / "versions" / f"{revision_id(4)}_change.py").unlink()
    refused = migrate("up")
    assert refused.exit_code == 9
    assert f"{revision_id(5)}_change.py" in refused.json["errors"][0]["message"]
    assert _tables(engine_url) == set()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_an_env_py_that_connects_elsewhere_is_refused(migrate: Run, location: Path, tmp_path: Path) -> None:
    env = location / "env.py"
    elsewhere = tmp_path / "elsewhere.db"
    env.write_text(
        env.read_text().replace(
            "config = context.config\n",
            f"""config = context.config
config.set_main_option("sqlalchemy.url", "sqlite:///{elsewhere}")
""",
        )
    )
    for command in ("plan", "up"):
        refused = migrate(command)
        assert refused.exit_code == 4
        assert "elsewhere.db" in refused.json["errors"][0]["message"]
    assert not elsewhere.exists() or elsewhere.stat().st_size == 0


def test_an_env_py_with_a_url_of_its_own_is_led_into_the_scratch_copy(
    migrate: Run, location: Path, engine_name: str, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrate("up", revision_id(5)).exit_code == 0
    monkeypatch.setenv("SHOP_URL", engine_url)
    module = f"shop_engine_on_{engine_name}"
    text = (location / "env.py").read_text()
    start, end = text.index("engine_from_config(\n"), text.index("    with connectable")
    (location.parent / f"{module}.py").write_text(_OWN_ENGINE)
    (location / "env.py").write_text(f"{text[:start]}__import__('{module}').engine\n{text[end:]}")
    before = _rows(engine_url, "SELECT id, name, email FROM users ORDER BY id")
    planned = migrate("plan", revision_id(7))
    assert planned.exit_code == 0, planned
    assert [warning["code"] for warning in planned.json["warnings"]] == []
    assert all(item["locks"] for step in planned.json["data"]["steps"] for item in step["statements"])
    assert _rows(engine_url, "SELECT id, name, email FROM users ORDER BY id") == before
    assert "orders" not in _tables(engine_url)
    assert migrate("up", revision_id(7), "--allow-copy", "--confirm", "default").exit_code == 0
    assert "orders" in _tables(engine_url)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_the_application_s_code_raises_is_told_with_its_place(migrate: Run, location: Path) -> None:
    file = location / "versions" / f"{revision_id(2)}_change.py"
    file.write_text(file.read_text().replace("def upgrade():\n", "def upgrade():\n    import not_installed\n"))
    refused = migrate("plan")
    assert refused.exit_code == 4
    error = refused.json["errors"][0]
    assert f"{revision_id(2)}_change.py:" in error["message"]
    assert "not_installed" in error["message"]
    assert "Install chatctl into the environment" in error["hint"]


@pytest.mark.parametrize("engine_name", [pytest.param("mariadb", marks=pytest.mark.mysql)], indirect=True)
def test_a_revision_that_goes_by_what_the_server_refuses_is_planned_and_applied_so(
    migrate: Run, location: Path, engine_url: str
) -> None:
    file = location / "versions" / f"{revision_id(5)}_change.py"
    text = file.read_text()
    careful = """def upgrade():
    try:
        op.drop_index("was_never_made", "users")
        op.drop_index("nor_this", "users")
    except sa.exc.OperationalError:
        op.create_index("users_email", "users", ["email"])
"""
    file.write_text(text[: text.index("def upgrade")] + careful + text[text.index("\n\ndef downgrade") :])
    planned = migrate("plan", revision_id(5)).json["data"]["steps"][-1]
    assert [item["sql"] for item in planned["statements"]] == [
        "DROP INDEX was_never_made ON users",
        "CREATE INDEX users_email ON users (email)",
    ]
    up = migrate("up", revision_id(5))
    assert up.exit_code == 0, up
    assert _rows(engine_url, "SHOW INDEX FROM users WHERE Key_name = 'users_email'")


def test_tables_with_many_indexes_are_planned_and_applied_in_one_order(
    migrate: Run, location: Path, engine_url: str
) -> None:
    file = location / "versions" / f"{revision_id(1)}_change.py"
    text = file.read_text()
    columns = ", ".join(f'sa.Column("c{number}", sa.String(9), index=True)' for number in range(9))
    file.write_text(text.replace('sa.Column("name"', f'{columns}, sa.Column("name"', 1))
    planned = [item["sql"] for item in migrate("plan", revision_id(1)).json["data"]["steps"][0]["statements"]]
    assert planned[1:] == [f"CREATE INDEX ix_users_c{number} ON users (c{number})" for number in range(9)]
    up = migrate("up", revision_id(1))
    assert up.exit_code == 0, up


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_branches_with_labels_go_up_together(migrate: Run, location: Path) -> None:
    template = (location / "versions" / f"{revision_id(1)}_change.py").read_text()
    branch = template.replace(revision_id(1), "billing1").replace("users", "bills")
    branch = branch.replace("branch_labels = None", 'branch_labels = ("billing",)')
    (location / "versions" / "billing1.py").write_text(branch)
    first = location / "versions" / f"{revision_id(1)}_change.py"
    first.write_text(template.replace("branch_labels = None", 'branch_labels = ("shop",)'))
    up = migrate("up")
    assert up.exit_code == 0, up
    assert set(migrate("status").json["data"]["current"]) == {"billing1", revision_id(COUNT)}
    down = migrate("down", revision_id(18), "--confirm", "default")
    assert down.json["data"]["applied"] == [revision_id(20), revision_id(19)]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_env_py_prints_is_kept_out_of_the_answer(migrate: Run) -> None:
    assert "env.py of the application" in migrate("up").stderr


#: As applications keep it: one for all, with a pool.
_OWN_ENGINE = """
import os
import sqlalchemy
engine = sqlalchemy.create_engine(os.environ["SHOP_URL"])
"""


def _tables(url: str) -> set[str]:
    database = Database(url)
    try:
        with database.connect() as connection:
            return set(sa.inspect(connection).get_table_names())
    finally:
        database.close()


def _rows(url: str, query: str) -> list[tuple[object, ...]]:
    database = Database(url)
    try:
        with database.connect() as connection:
            assert take_snapshot(connection)
            return [tuple(row) for row in connection.exec_driver_sql(query)]
    finally:
        database.close()
