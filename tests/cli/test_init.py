"""`chatctl init`, as its users run it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.support import schemas
from tests.support.cli import Cli, Completed

Invoke = Callable[..., Completed]

CANARY = "canary-7f3a"

LEGACY = """
CREATE TABLE users (id VARCHAR(64) PRIMARY KEY);
CREATE TABLE mentors (id VARCHAR(64) PRIMARY KEY, name VARCHAR(255));
CREATE TABLE messages (
  id VARCHAR(64) PRIMARY KEY, "userId" VARCHAR(64) NOT NULL REFERENCES users, "mentorId" VARCHAR(64),
  role VARCHAR(32) NOT NULL, content TEXT NOT NULL, prompt TEXT, model TEXT, tokens INTEGER, metadata TEXT,
  "createdAt" DATETIME NOT NULL, "taskId" TEXT
);
"""


@pytest.fixture
def legacy(tmp_path: Path) -> str:
    """A database made by the application's own SQL."""
    with closing(sqlite3.connect(tmp_path / "legacy.db")) as connection:
        connection.executescript(LEGACY)
    return "sqlite:///legacy.db"


def test_init_names_the_layout_and_the_state_and_what_it_wrote_is_good(run_cli: Cli, legacy: str) -> None:
    answer = run_cli("init", "--database", legacy, "--output", "json")
    assert answer.exit_code == 0
    schemas.check("init", answer.json)
    assert (answer.json["data"]["layout"], answer.json["data"]["state"]) == ("mentor", "before")
    assert answer.json["warnings"] == []
    checked = run_cli("config", "check", "--output", "json")
    assert checked.exit_code == 0
    sources = {item["name"]: item["source"] for item in checked.json["data"]["checks"]}
    assert sources["layout"].startswith("chatctl.yaml:")


def test_init_refuses_to_overwrite_and_names_the_flag(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "chatctl.yaml").write_text("contexts: {}\n")
    answer = invoke("init", "--output", "json")
    assert answer.exit_code == 2
    schemas.check("init", answer.json)
    assert "--force" in answer.json["errors"][0]["hint"]
    assert (tmp_path / "chatctl.yaml").read_text() == "contexts: {}\n"
    assert invoke("init", "--force").exit_code == 0
    assert "layout: native" in (tmp_path / "chatctl.yaml").read_text()


def test_a_dry_run_shows_the_file_and_writes_nothing(invoke: Invoke, tmp_path: Path, legacy: str) -> None:
    answer = invoke("init", "--dry-run", "--database", legacy)
    assert answer.exit_code == 0
    assert "layout: mentor" in answer.stdout
    assert not (tmp_path / "chatctl.yaml").exists()


def test_init_writes_the_file_that_config_names(invoke: Invoke, tmp_path: Path, legacy: str) -> None:
    answer = invoke("init", "--config", "other.yaml", "--context", "staging", "--database", legacy)
    assert answer.exit_code == 0
    shown = invoke("config", "show", "--config", "other.yaml", "--output", "json")
    assert shown.json["data"]["context"] == "staging"


def test_init_without_a_database_creates_none(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("init").exit_code == 0
    assert not list(tmp_path.rglob("*.db"))


def test_a_server_that_does_not_answer_exits_5_and_no_password_is_shown(invoke: Invoke, tmp_path: Path) -> None:
    url = f"mysql://root:{CANARY}@127.0.0.1:1/chat"
    answer = invoke("init", "--database", url, "--verbose", "--output", "json")
    assert answer.exit_code == 5
    schemas.check("init", answer.json)
    assert not (tmp_path / "chatctl.yaml").exists()
    named = invoke("init", "--database", url, "--layout", "mentor", "--output", "json")
    assert named.exit_code == 0
    codes = [warning["code"] for warning in named.json["warnings"]]
    assert codes == ["password_in_flag", "cannot_connect", "password_left_out"]
    written = (tmp_path / "chatctl.yaml").read_text()
    assert "database: env:CHATCTL_DATABASE" in written
    assert CANARY not in answer.stdout + answer.stderr + named.stdout + named.stderr + written
