"""Revisions are rehearsed in a scratch copy, and new ones are written for review."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.alembic_project import COUNT, make_project, revision_id
from tests.support.cli import Completed
from tests.support.legacy import make_legacy
from tests.support.schema_dumps import dump_schema

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot

Run = Callable[..., Completed]


@pytest.fixture
def migrate(invoke: Run, engine_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CHATCTL_DATABASE", engine_url)
    monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")
    return lambda *arguments: invoke("--output", "json", "migrate", *arguments)


def test_the_built_in_revisions_lead_there_back_and_there_again(migrate: Run, engine_url: str) -> None:
    make_legacy(engine_url, "mentor")
    before = _schema(engine_url)
    done = migrate("rehearse", "--phase", "contract")
    assert done.exit_code == 0, done
    assert done.json["data"]["revisions"] == ["mentor_0002", "mentor_0003", "mentor_0004"]
    assert [check["name"] for check in done.json["data"]["checks"]] == ["up", "down", "up again"]
    assert _schema(engine_url) == before


def test_a_way_back_that_leaves_something_is_found(
    migrate: Run, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = make_project(tmp_path / "shop", count=8)
    monkeypatch.setenv("CHATCTL_MIGRATIONS_SCRIPT_LOCATION", str(location))
    assert migrate("rehearse").exit_code == 0
    seventh = location / "versions" / f"{revision_id(7)}_change.py"
    seventh.write_text(seventh.read_text().replace('op.drop_table("orders")', 'op.drop_column("orders", "placed")'))
    found = migrate("rehearse")
    assert found.exit_code == 9
    assert any(check["differs"] for check in found.json["data"]["checks"] if check["name"] == "down")
    assert _schema(engine_url) == {}


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_revision_is_written_behind_the_newest_one(
    migrate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = make_project(tmp_path / "shop")
    (location / "script.py.mako").write_text(_TEMPLATE)
    monkeypatch.setenv("CHATCTL_MIGRATIONS_SCRIPT_LOCATION", str(location))
    written = migrate("revision", "-m", "orders have a colour")
    assert written.exit_code == 0, written
    data = written.json["data"]
    assert data["follows"] == [revision_id(COUNT)]
    assert "orders have a colour" in Path(data["file"]).read_text()
    assert [item["revision"] for item in migrate("status").json["data"]["pending"]][-1] == data["revision"]


@pytest.mark.parametrize("engine_name", [pytest.param("mariadb", marks=pytest.mark.mysql)], indirect=True)
def test_a_revision_that_is_written_from_the_models_is_linted(
    migrate: Run, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = make_project(tmp_path / "shop", count=1)
    (location / "script.py.mako").write_text(_TEMPLATE)
    monkeypatch.setenv("CHATCTL_MIGRATIONS_SCRIPT_LOCATION", str(location))
    assert migrate("up").exit_code == 0
    models = """import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("users", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text, nullable=False))
"""
    (tmp_path / "shop" / "shop_models.py").write_text(models)
    env = (location / "env.py").read_text()
    assert "target_metadata=None" in env
    env = env.replace("target_metadata=None", "target_metadata=__import__('shop_models').metadata, compare_type=True")
    (location / "env.py").write_text(env)
    written = migrate("revision", "-m", "names are longer", "--autogenerate")
    assert written.exit_code == 0, written
    assert "chatctl_" not in Path(written.json["data"]["file"]).read_text()
    found = written.json["data"]["findings"]
    assert "table-copy" in {item["rule"] for item in found}
    assert all(Path(written.json["data"]["file"]).name in item["where"] for item in found)


def test_a_schema_dump_is_rehearsed_on_as_a_database_is(
    migrate: Run, engine_name: str, engine_url: str, tmp_path: Path
) -> None:
    make_legacy(engine_url, "mentor")
    # With the revision named on one engine, and told from the tables on the others.
    at = "mentor_0002" if engine_name == "postgresql" else None
    if at is not None:
        assert migrate("up", at).exit_code == 0
    dump = tmp_path / "schema.sql"
    dump.write_text(dump_schema(engine_url))
    _empty(engine_url)
    done = migrate("rehearse", "--phase", "contract", "--from-dump", str(dump), *(("--at", at) if at else ()))
    assert done.exit_code == 0, done
    expected = ["mentor_0002", "mentor_0003", "mentor_0004"]
    assert done.json["data"]["revisions"] == (expected[1:] if at else expected)
    assert _schema(engine_url) == {}


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_is_no_schema_dump_is_refused(migrate: Run, tmp_path: Path) -> None:
    notes = tmp_path / "notes.sql"
    notes.write_text("SELECT 1;")
    assert migrate("rehearse", "--from-dump", str(notes)).exit_code == 2
    assert migrate("rehearse", "--at", "mentor_0002").exit_code == 2


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_nobody_writes_into_chatctl_s_own_revisions(migrate: Run) -> None:
    assert migrate("revision", "-m", "x").exit_code == 2


_TEMPLATE = '''"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


def _empty(url: str) -> None:
    """The application's tables are gone, and chatctl's too."""
    database = Database(url)
    metadata = sa.MetaData()
    with database.begin() as connection:
        metadata.reflect(connection)
        metadata.drop_all(connection)
    database.close()


def _schema(url: str) -> dict[str, str]:
    database = Database(url)
    try:
        with database.connect() as connection:
            return take_snapshot(connection)
    finally:
        database.close()
