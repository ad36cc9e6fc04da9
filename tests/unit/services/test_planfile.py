"""A saved plan is read back as it was, by the command that it is for, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatctl.errors import NotFoundError, UsageError
from chatctl.services.planfile import load_plan, save_plan

DATA = {"fingerprint": "f", "groups": 3, "title": "спасибо 🙂"}


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    save_plan(tmp_path / "plan.json", "regroup run", DATA)
    return tmp_path / "plan.json"


def test_a_plan_is_read_back_as_it_was(plan: Path) -> None:
    assert load_plan(plan, "regroup run") == DATA


def test_a_plan_is_for_its_command_alone(plan: Path) -> None:
    with pytest.raises(UsageError, match="a plan for 'chatctl regroup run'"):
        load_plan(plan, "purge run")


@pytest.mark.parametrize("change", [{"groups": 4}, {"more": 1}, {"fingerprint": None}])
def test_a_plan_that_was_changed_is_refused(plan: Path, change: dict[str, object]) -> None:
    content = json.loads(plan.read_text())
    plan.write_text(json.dumps({**content, "data": {**content["data"], **change}}))
    with pytest.raises(UsageError, match="isn't as chatctl saved it"):
        load_plan(plan, "regroup run")


def test_a_plan_without_its_data_is_refused(plan: Path) -> None:
    plan.write_text('{"chatctl_plan": 1, "command": "regroup run"}')
    with pytest.raises(UsageError, match="isn't as chatctl saved it"):
        load_plan(plan, "regroup run")


def test_a_plan_that_isnt_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_plan(tmp_path / "none.json", "regroup run")
