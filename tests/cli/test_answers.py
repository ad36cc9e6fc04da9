"""Every way out of a command is one envelope with the right exit code."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import yaml
from tests.support import schemas
from tests.support.cli import Completed

from chatctl import errors
from chatctl.cli import exit_codes
from chatctl.domain.result import Outcome

Invoke = Callable[..., Completed]


def test_a_success_is_an_envelope_with_its_data(specimen_cli: Invoke) -> None:
    answer = specimen_cli("specimen", "show", "--output", "json")

    assert answer.exit_code == 0
    assert answer.stderr == ""
    assert list(answer.json) == [
        "chatctl", "command", "status", "exit_code", "run_id", "data", "warnings", "errors",
    ]  # fmt: skip
    assert (answer.json["chatctl"], answer.json["command"], answer.json["status"]) == (1, "specimen show", "success")
    assert answer.json["run_id"] == "r-1"
    assert answer.json["data"]["rows"][2]["name"] == "esc\x1b[31mred"
    schemas.validator().validate(answer.json)


def test_yaml_is_the_same_envelope(specimen_cli: Invoke) -> None:
    as_json = specimen_cli("specimen", "show", "--output", "json").json

    assert yaml.safe_load(specimen_cli("specimen", "show", "--output", "yaml").stdout) == as_json


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_has_the_exit_code_of_the_contract(specimen_cli: Invoke, outcome: Outcome) -> None:
    answer = specimen_cli("specimen", "show", "--outcome", outcome.value, "--output", "json")

    expected = {
        "done": 0,
        "partial": 3,
        "pending": 7,
        "denied": 8,
        "findings": 9,
        "stopped_early": 12,
        "interrupted": 130,
    }
    assert answer.exit_code == answer.json["exit_code"] == expected[outcome.value]
    assert answer.json["status"] == ("partial" if answer.exit_code in (3, 12, 130) else "success")
    schemas.validator().validate(answer.json)


@pytest.mark.parametrize(
    ("name", "code", "exit_code"),
    [
        ("UsageError", "usage", 2),
        ("ConsentRequiredError", "consent_required", 2),
        ("MissingEntityError", "missing_entity", 4),
        ("AccessDeniedError", "access_denied", 5),
        ("UnfinishedRunError", "unfinished_run", 6),
        ("IntegrityError", "integrity", 9),
        ("StalePlanError", "stale_plan", 10),
        ("NotFoundError", "not_found", 11),
        ("StoppedEarlyError", "stopped_early", 12),
        ("DiskFullError", "disk_full", 13),
        ("InterruptedRunError", "interrupted_run", 130),
        ("DatabaseError", "database", 1),
        ("KeyError", "unexpected", 1),
        ("KeyboardInterrupt", "interrupted_run", 130),
    ],
)
def test_an_error_is_an_envelope_with_its_exit_code(specimen_cli: Invoke, name: str, code: str, exit_code: int) -> None:
    answer = specimen_cli("specimen", "fail", name, "-o", "json")

    assert answer.exit_code == answer.json["exit_code"] == exit_code
    assert answer.json["errors"][0]["code"] == code
    assert answer.json["errors"][0]["docs"] == f"errors.md#{code.replace('_', '-')}"
    assert answer.json["data"] == {}
    schemas.validator().validate(answer.json)


def test_every_error_has_an_exit_code_and_every_exit_code_a_meaning() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]

    codes = {exit_codes.exit_code_for(kind.__new__(kind)) for kind in kinds} | set(exit_codes.OUTCOMES.values())

    assert set(exit_codes.OUTCOMES) == set(Outcome)
    assert codes == set(exit_codes.MEANINGS) == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 130}


def test_beside_a_table_errors_go_to_stderr_with_hint_and_docs(specimen_cli: Invoke) -> None:
    answer = specimen_cli("specimen", "fail", "StalePlanError")

    assert answer.stdout == ""
    assert answer.stderr.splitlines() == [
        "error: failed for postgresql://app:***@db/chat",
        "hint: Make a new plan, look at it, and apply that one.",
        "docs: errors.md#stale-plan",
    ]


@pytest.mark.parametrize("arguments", [(), ("--output", "json"), ("--verbose",), ("--log-format", "json")])
def test_no_error_shows_a_password(specimen_cli: Invoke, arguments: tuple[str, ...]) -> None:
    answers = [specimen_cli("specimen", "fail", name, *arguments) for name in ("KeyError", "DatabaseError")]
    answers.append(specimen_cli("specimen", "show", *arguments))

    for answer in answers:
        assert "***@db" in answer.stdout + answer.stderr
        assert "hunter2" not in answer.stdout + answer.stderr


def test_an_unexpected_error_shows_its_traceback_with_verbose_only(specimen_cli: Invoke) -> None:
    short = specimen_cli("specimen", "fail", "KeyError")
    long = specimen_cli("specimen", "fail", "KeyError", "--verbose")

    assert "Traceback" not in short.stderr
    assert "--verbose" in short.stderr
    assert "Traceback" in long.stderr


@pytest.mark.parametrize(
    ("how", "code", "exit_code", "message"),
    [
        ("full", "disk_full", 13, "out.csv: no space is left."),
        ("unprintable", "unexpected", 1, "TypeError: "),
        ("outside", "not_found", 11, "raised outside of the runtime"),
    ],
)
def test_what_no_service_foresaw_is_an_envelope_too(
    specimen_cli: Invoke, how: str, code: str, exit_code: int, message: str
) -> None:
    answer = specimen_cli("specimen", "break", how, "--output", "json")

    assert answer.exit_code == answer.json["exit_code"] == exit_code
    assert answer.json["errors"][0]["code"] == code
    assert answer.json["errors"][0]["message"].startswith(message)


def test_an_interrupted_command_says_how_to_go_on(specimen_cli: Invoke) -> None:
    answer = specimen_cli("--database", "mysql://u:hunter2@h/d", "specimen", "fail", "KeyboardInterrupt", "-o", "json")

    hint = answer.json["errors"][0]["hint"]
    assert hint == "To go on: chatctl --database mysql://u:***@h/d specimen fail KeyboardInterrupt -o json"


@pytest.mark.parametrize(
    ("arguments", "command", "message"),
    [
        (("nonsense",), "chatctl", "No such command 'nonsense'."),
        (("specimen", "shwo"), "specimen", "No such command 'shwo'. Did you mean 'show'?"),
        (("specimen", "fail"), "specimen fail", "Missing argument 'name'."),
        (("specimen", "show", "--bogus"), "specimen show", "No such option: --bogus"),
        (("--color", "pink", "specimen", "show"), "chatctl", "'pink' is not one of auto, always, never."),
        (("-q", "-v", "specimen", "show"), "chatctl", "--quiet and --verbose exclude each other."),
    ],
)
def test_a_usage_error_is_an_envelope_too(
    specimen_cli: Invoke, arguments: tuple[str, ...], command: str, message: str
) -> None:
    answer = specimen_cli(*arguments, "--output=json")

    assert answer.exit_code == 2
    assert answer.json["command"] == command
    assert answer.json["errors"][0]["code"] == "usage"
    assert message in answer.json["errors"][0]["message"]
    schemas.validator().validate(answer.json)


def test_json_holds_nothing_but_json_values(specimen_cli: Invoke) -> None:
    text = specimen_cli("specimen", "show", "-o", "x", "--output", "json").stdout

    assert json.loads(text)["data"]["own"] == "x"
    assert "نمونه" in text
