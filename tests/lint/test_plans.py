"""A plan shows what the linter finds in each of its statements, and what a revision allows is allowed there too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.alembic_project import make_project, revision_id
from tests.support.cli import Completed
from tests.support.legacy import make_legacy

from chatctl.layouts import builtin_names

Run = Callable[..., Completed]

pytestmark = pytest.mark.usefixtures("squawk")

#: A careless change of a table that is in use, and the rule that finds it, by engine.
CARELESS = {
    "sqlite": ("ALTER TABLE users DROP COLUMN name", "drop-in-use"),
    "mariadb": ("ALTER TABLE users MODIFY id bigint", "table-copy"),
    "postgresql": ("CREATE INDEX users_name ON users (name)", "require-concurrent-index-creation"),
}
HARMLESS = "CREATE TABLE notes (id integer PRIMARY KEY)"


@pytest.fixture
def pending(tmp_path: Path, invoke: Run, engine_name: str, engine_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a careless revision that is pending in a project whose first one is applied."""
    location = make_project(tmp_path / "shop", count=2)
    monkeypatch.setenv("CHATCTL_DATABASE", engine_url)
    monkeypatch.setenv("CHATCTL_MIGRATIONS_SCRIPT_LOCATION", str(location))
    assert invoke("migrate", "up", revision_id(1)).exit_code == 0
    file = location / "versions" / f"{revision_id(2)}_change.py"
    head = file.read_text().partition("def upgrade")[0]
    sql = CARELESS[engine_name][0]
    file.write_text(
        f'{head}def upgrade():\n    op.execute("{HARMLESS}")\n    op.execute("{sql}")\n\n\ndef downgrade():\n    pass\n'
    )
    return file


def test_each_statement_of_a_plan_has_its_own_findings(invoke: Run, engine_name: str, pending: Path) -> None:
    sql, rule = CARELESS[engine_name]
    planned = invoke("-o", "json", "migrate", "plan")
    assert planned.exit_code == 0, planned
    findings = {item["sql"]: {found["rule"] for found in item["findings"]} for item in _statements(planned)}
    assert findings[HARMLESS] == set()
    assert rule in findings[sql]
    assert f"-- error {rule}: " in invoke("migrate", "plan").stdout or "-- warning" in invoke("migrate", "plan").stdout


def test_what_a_comment_in_the_revision_allows_is_no_finding_of_the_plan(
    invoke: Run, engine_name: str, pending: Path
) -> None:
    sql, rule = CARELESS[engine_name]
    text = pending.read_text()
    pending.write_text(
        text.replace(f'    op.execute("{sql}")', f'    # chatctl: allow {rule}\n    op.execute("{sql}")')
    )
    planned = _statements(invoke("-o", "json", "migrate", "plan", "--no-measure"))
    assert rule not in {found["rule"] for item in planned for found in item["findings"]}


@pytest.mark.parametrize(
    "layout", [name if name == "ray" else pytest.param(name, marks=pytest.mark.slow) for name in builtin_names()]
)
@pytest.mark.parametrize("engine_name", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_our_own_expand_plans_have_no_findings(
    invoke: Run, engine_url: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_legacy(engine_url, layout)
    monkeypatch.setenv("CHATCTL_DATABASE", engine_url)
    monkeypatch.setenv("CHATCTL_LAYOUT", layout)
    planned = invoke("-o", "json", "migrate", "plan", "--no-measure")
    assert planned.json["warnings"] == []
    assert [item for item in _statements(planned) if item["findings"]] == []


def _statements(planned: Completed) -> list[dict[str, Any]]:
    return [item for step in planned.json["data"]["steps"] for item in step["statements"]]
