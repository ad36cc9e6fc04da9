"""Each command's answer is what its own schema promises.

`Completed.json` checks it in every test; here is a journey through all commands that need no server.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import ValidationError
from tests.support import schemas
from tests.support.cli import Completed

from chatctl.cli import lazy

Invoke = Callable[..., Completed]

#: Commands with the options that make it answer, in an order that makes sense.
JOURNEY: tuple[tuple[tuple[str, ...], int], ...] = (
    (("init", "--dry-run"), 0),
    (("init",), 0),
    (("config", "show", "--source"), 0),
    (("config", "check"), 0),
    (("migrate", "status"), 0),
    (("migrate", "up", "mentor_0001"), 0),
    (("migrate", "adopt"), 0),
    (("migrate", "plan"), 0),
    (("migrate", "check"), 7),
    (("migrate", "up", "--dry-run"), 0),
    (("migrate", "--yes"), 0),
    (("migrate", "check"), 0),
    (("migrate", "status"), 0),
    (("migrate", "down", "mentor_0001", "--dry-run"), 0),
    (("migrate", "down", "mentor_0001", "--confirm", "default"), 0),
    (("migrate", "history"), 0),
    (("migrate", "sql"), 0),
    (("migrate", "lint"), 0),
    (("migrate", "rehearse"), 0),
)

#: Commands of the journey's groups that need what the journey hasn't; their own tests check their answers.
ELSEWHERE = {"migrate revision"}


@pytest.fixture
def legacy_mentor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes an empty database file the one that commands work on, in the layout `mentor`."""
    file = tmp_path / "mentor.db"
    sqlite3.connect(file).close()
    monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{file}")
    monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")


def test_every_answer_of_a_journey_fits_its_commands_schema(invoke: Invoke, legacy_mentor: None) -> None:
    answered = set()
    for arguments, exit_code in JOURNEY:
        answer = invoke(*arguments, "--output", "json")

        assert answer.exit_code == exit_code, answer
        assert answer.json["data"], answer
        answered.add(answer.json["command"])

    covered = {arguments[0] for arguments, _ in JOURNEY}
    assert answered | ELSEWHERE == {command for command in lazy.every_command() if command.split()[0] in covered}


@pytest.mark.parametrize("damage", [{"chatctl": 2}, {"status": "fine"}, {"data": {"ok": "yes"}}, {"more": 1}])
def test_a_schema_refuses_an_answer_that_breaks_its_promise(invoke: Invoke, damage: dict[str, object]) -> None:
    answer = invoke("config", "check", "--output", "json").json
    schemas.check("config check", answer)

    with pytest.raises(ValidationError):
        schemas.check("config check", answer | damage)


def test_an_answer_without_a_key_of_the_contract_is_refused(invoke: Invoke) -> None:
    answer = invoke("config", "check", "--output", "json").json

    for key in answer:
        with pytest.raises(ValidationError):
            schemas.check("config check", {name: value for name, value in answer.items() if name != key})
