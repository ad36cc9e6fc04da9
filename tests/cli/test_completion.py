"""What TAB offers, and how soon."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import Cli, clean_environment

from chatctl.cli import completing


def complete(run_cli: Cli, line: str) -> list[str]:
    """What TAB offers at the end of `line`."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    variables = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_CHATCTL_COMPLETE": "complete_bash"}
    return run_cli(env=variables).stdout.split()


def test_values_of_contexts_layouts_runs_and_backups_are_offered(run_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "chatctl.yaml").write_text(
        "context: prod\ncontexts:\n  prod: {layout: worker, database: 'sqlite:///chat.db'}\n"
        "  staging: {layout: worker}\n"
    )
    assert run_cli("migrate", "up").exit_code == 0
    made = run_cli("backup", "create", "-o", "json").json["data"]["id"]
    (run,) = [item["run_id"] for item in run_cli("runs", "list", "-o", "json").json["data"]["runs"]][-1:]

    assert complete(run_cli, "chatctl migrate up --context st") == ["staging"]
    assert complete(run_cli, "chatctl --layout to") == ["toolboxai"]
    assert run in complete(run_cli, "chatctl runs show ")
    assert complete(run_cli, "chatctl backup verify ") == [made, "latest"]
    assert complete(run_cli, "chatctl env convert --to ") == ["1.x", "2.0"]


def test_completion_survives_files_that_cant_be_read(run_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "chatctl.yaml").write_text("contexts: [")
    cache = Path(run_cli.environment["XDG_CACHE_HOME"]) / "chatctl"
    cache.mkdir(parents=True)
    (cache / "completion.json").write_text("{")

    assert complete(run_cli, "chatctl --context ") == []
    assert complete(run_cli, "chatctl runs show ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(run_cli: Cli, shell: str) -> None:
    answer = run_cli(env={"_CHATCTL_COMPLETE": f"source_{shell}"})

    assert answer.exit_code == 0, answer
    assert "chatctl" in answer.stdout
    assert f"complete_{shell}" in answer.stdout


@pytest.mark.slow  # only a quiet machine can tell
def test_an_answer_takes_less_than_a_quarter_of_a_second(tmp_path: Path) -> None:
    environment = {
        **clean_environment(tmp_path), "COMP_WORDS": "chatctl runs show ", "COMP_CWORD": "3",
        "_CHATCTL_COMPLETE": "complete_bash",
    }  # fmt: skip

    def seconds() -> float:
        # What the process itself used: the machine may be busy with other tests.
        with subprocess.Popen([sys.executable, "-m", "chatctl"], env=environment, cwd=tmp_path) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    assert min(seconds() for _ in range(3)) < 0.25


def test_only_ids_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    for number in range(60):
        completing.remember("regroup run", f"20260101-0000{number:02d}-aaaa", {"secret": "x"})

    text = (tmp_path / "chatctl/completion.json").read_text()
    assert "secret" not in text
    assert completing.runs()[0] == "20260101-000059-aaaa"
    assert len(completing.runs()) == 50
