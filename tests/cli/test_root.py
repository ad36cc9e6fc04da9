"""The root: its help, its options before and after a command, its version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.support import schemas
from tests.support.cli import Cli, Completed

import chatctl
from chatctl.cli import lazy

Invoke = Callable[..., Completed]


def test_help_lists_every_command_and_exits_0(run_cli: Cli) -> None:
    answer = run_cli("--help")

    assert answer.exit_code == 0
    for entry in lazy.REGISTRY:
        assert f"\n  {entry.name} " in answer.stdout
        assert entry.help in answer.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"], ["-o", "json", "--version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; sys.argv = ['chatctl', *sys.argv[1:]]\n"
        "import chatctl.__main__ as program\n"
        "try: program.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'alembic', 'redis', 'pydantic', 'rich', 'yaml', 'pymysql', 'psycopg'}\n"
        "groups = {name for name in sys.modules if name.startswith('chatctl.services')}\n"
        "sys.exit(f'loaded {heavy & set(sys.modules)} {groups}' if heavy & set(sys.modules) or groups else 0)\n"
    )

    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_version_is_the_packages(run_cli: Cli) -> None:
    assert run_cli("--version").stdout == f"chatctl {chatctl.__version__}\n"
    assert run_cli("--no-input", "--version").stdout == f"chatctl {chatctl.__version__}\n"


@pytest.mark.parametrize("words", [(), ("config",)])
def test_without_a_command_the_help_is_shown_and_nothing_goes_to_stdout(invoke: Invoke, words: tuple[str, ...]) -> None:
    answer = invoke(*words)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"Usage: {' '.join(('chatctl', *words))} [OPTIONS]")
    assert "error:" not in answer.stderr
    assert invoke(*words, "-o", "json").json["errors"][0]["message"] == "Missing command."


@pytest.mark.parametrize(
    "arguments",
    [
        ("--output", "json", "specimen", "show"),
        ("specimen", "--output", "json", "show"),
        ("specimen", "show", "--output", "json"),
        ("specimen", "show", "--output=json"),
        ("--output", "csv", "specimen", "show", "--output", "json"),
    ],
)
def test_a_global_option_is_taken_at_every_level_and_the_last_one_counts(
    specimen_cli: Invoke, arguments: tuple[str, ...]
) -> None:
    assert specimen_cli(*arguments).json["command"] == "specimen show"


def test_a_variable_gives_the_format_and_a_flag_beats_it(specimen_cli: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATCTL_OUTPUT", "json")

    assert specimen_cli("specimen", "show").json["status"] == "success"
    assert specimen_cli("--output", "csv", "specimen", "show").stdout.startswith("name,size")
    assert specimen_cli("specimen", "nonsense").json["exit_code"] == 2


def test_a_commands_own_spelling_wins_over_a_global_one(specimen_cli: Invoke) -> None:
    answer = specimen_cli("-o", "json", "specimen", "show", "-o", "mine")

    assert answer.json["data"]["own"] == "mine"


def test_global_options_dont_crowd_a_commands_help(specimen_cli: Invoke) -> None:
    text = specimen_cli("specimen", "show", "--help").stdout

    assert "--outcome" in text
    assert "--database" not in text
    assert "Global options" in text


def test_completion_knows_commands_and_their_commands(run_cli: Cli) -> None:
    variables = {"_CHATCTL_COMPLETE": "complete_bash"}

    root = run_cli(env={**variables, "COMP_WORDS": "chatctl conf", "COMP_CWORD": "1"})
    below = run_cli(env={**variables, "COMP_WORDS": "chatctl config ", "COMP_CWORD": "2"})

    assert root.stdout.split() == ["config"]
    assert below.stdout.split() == ["show", "check"]


def test_every_command_has_a_schema_and_every_schema_a_command() -> None:
    commands = {schemas.file_name(command) for command in lazy.every_command()}

    assert commands == schemas.names()
