"""`chatctl permissions`, as its users run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import schemas
from tests.support.cli import Completed
from tests.support.permissions import make_permissions

Invoke = Callable[..., Completed]


@pytest.fixture
def permissions(invoke: Invoke, redis_url: str, tmp_path: Path) -> Invoke:
    """Runs `chatctl permissions …` and checks the answer against its schema."""
    source = f"sqlite:///{tmp_path / 'tpms.db'}"
    make_permissions(source, [("12345", "Plant"), ("7", "Other")], [("12345", "jane"), ("7", "jane")])

    def run(*arguments: str, given: str | None = source) -> Completed:
        configuration = f"contexts: {{default: {{permissions: {{database: '{given}'}}}}}}\n" if given else ""
        (tmp_path / "chatctl.yaml").write_text(configuration)
        options = ["--layout", "simorgh", "--redis", redis_url, "-o", "json"]
        answer = invoke("permissions", *arguments, *options)
        words = " ".join(arguments[:2]) if arguments[0] == "cache" else arguments[0]
        schemas.check(f"permissions {words}", answer.json)
        return answer

    return run


@pytest.mark.parametrize(
    ("user", "project", "exit_code"), [("jane", "12345", 0), ("john", "12345", 8), ("jane", "99999", 11)]
)
def test_each_answer_has_its_own_code(user: str, project: str, exit_code: int, permissions: Invoke) -> None:
    assert permissions("check", user, project).exit_code == exit_code


def test_explain_tells_the_way_to_the_answer(permissions: Invoke) -> None:
    first = permissions("check", "jane", "12345", "--explain").json["data"]
    assert [step["step"] for step in first["explain"]] == ["cache", "project", "grant", "rule"]
    assert first["source"] == "database"
    second = permissions("check", "jane", "12345", "--explain").json["data"]
    assert (second["source"], second["explain"][-1]["outcome"]) == ("cache", "cached_grant")
    assert permissions("check", "jane", "12345", "--no-cache").json["data"]["source"] == "database"


def test_a_database_that_cannot_answer_is_trouble(permissions: Invoke, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    for source in ("mysql://u:canary-3@127.0.0.1:1/TPMS", f"sqlite:///{tmp_path}/other.db"):
        answer = permissions("check", "jane", "12345", given=source)
        assert (answer.exit_code, answer.json["errors"][0]["code"]) == (5, "permission_source")
        assert "canary" not in answer.stdout + answer.stderr


def test_missing_credentials_deny(permissions: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL_HOST", "tpms.example")
    answer = permissions("check", "jane", "12345", given=None)
    assert answer.exit_code == 8
    assert "No permission database is configured" in answer.json["data"]["reason"]


def test_lists_by_user_and_by_project(permissions: Invoke) -> None:
    assert permissions("list", "--user", "jane").json["data"]["projects"] == [
        {"project": "12345", "project_name": "Plant"},
        {"project": "7", "project_name": "Other"},
    ]
    assert permissions("list", "--project", "7").json["data"]["users"] == ["jane"]
    assert permissions("list").exit_code == 2


def test_probes_of_a_file_are_answered(permissions: Invoke, tmp_path: Path) -> None:
    (tmp_path / "probes.csv").write_text('user,project\njane,12345\n"O\'Brien",7\n')
    data = permissions("audit", "--probes", "probes.csv").json["data"]
    assert [probe["allowed"] for probe in data["probes"]] == [True, False]
    (tmp_path / "probes.csv").write_text("a,b\n1,2\n")
    assert permissions("audit", "--probes", "probes.csv").exit_code == 2
    assert permissions("audit", "--probes", "gone.csv").exit_code == 11


def test_the_cache_is_shown_and_flushed(permissions: Invoke) -> None:
    permissions("check", "jane", "12345")
    assert [grant["user"] for grant in permissions("cache", "show").json["data"]["grants"]] == ["jane"]
    assert permissions("cache", "flush", "--dry-run").json["data"] == {"flushed": 1, "dry_run": True}
    assert permissions("cache", "flush", "--user", "john").json["data"]["flushed"] == 0
    assert permissions("cache", "flush").json["data"]["flushed"] == 1
    assert permissions("cache", "show").json["data"]["grants"] == []
