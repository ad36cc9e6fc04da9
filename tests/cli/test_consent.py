"""Who must say yes to what, and how."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.cli import Completed
from tests.support.terminals import read_to_end, read_until

Invoke = Callable[..., Completed]
Start = Callable[..., subprocess.Popen[str]]


def test_without_a_terminal_nothing_prompts_and_the_flag_is_named(specimen_cli: Invoke) -> None:
    answer = specimen_cli("specimen", "change", "-o", "json", stdin="y\n")

    assert answer.exit_code == 2
    assert answer.json["errors"][0]["code"] == "consent_required"
    assert "--yes" in answer.json["errors"][0]["hint"]


def test_yes_is_consent_to_what_loses_nothing(specimen_cli: Invoke) -> None:
    assert specimen_cli("specimen", "change", "--yes", "-o", "json").json["data"] == {"changed": True}


def test_what_loses_data_needs_the_contexts_name(specimen_cli: Invoke) -> None:
    refused = specimen_cli("specimen", "change", "--loses", "--yes")
    wrong = specimen_cli("specimen", "change", "--loses", "--confirm", "prod")
    agreed = specimen_cli("specimen", "change", "--loses", "--confirm", "default")

    assert (refused.exit_code, wrong.exit_code, agreed.exit_code) == (2, 2, 0)
    assert "--confirm default" in refused.stderr
    assert "'prod'" in wrong.stderr


def test_a_protected_context_needs_its_name_for_every_change(specimen_cli: Invoke) -> None:
    Path("chatctl.yaml").write_text("context: prod\ncontexts:\n  prod:\n    protected: true\n")

    refused = specimen_cli("specimen", "change", "--yes")
    agreed = specimen_cli("specimen", "change", "--confirm", "prod")
    dry = specimen_cli("specimen", "change", "--dry-run")

    assert (refused.exit_code, agreed.exit_code, dry.exit_code) == (2, 0, 0)
    assert "--confirm prod" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "typed", "exit_code"),
    [
        ((), "y", 0),
        ((), "n", 2),
        ((), "", 2),
        (("--loses",), "default", 0),
        (("--loses",), "y", 2),
        (("--loses", "--yes"), "default", 0),
    ],
)
def test_on_a_terminal_the_question_is_asked_on_stderr(
    start_specimen: Start, arguments: tuple[str, ...], typed: str, exit_code: int
) -> None:
    ours, theirs = pty.openpty()
    process = start_specimen("specimen", "change", *arguments, stdin=theirs, stderr=theirs)
    os.close(theirs)
    asked = read_until(ours, "Change it?")
    os.write(ours, f"{typed}\n".encode())
    stdout, _ = process.communicate(timeout=120)
    os.close(ours)

    assert "Change it?" in asked
    assert process.returncode == exit_code
    assert "Change it?" not in stdout


@pytest.mark.parametrize(("interrupts", "exit_code"), [(False, 2), (True, 130)])
def test_who_leaves_the_question_finds_the_error_on_a_line_of_its_own(
    start_specimen: Start, interrupts: bool, exit_code: int
) -> None:
    ours, theirs = pty.openpty()
    process = start_specimen("specimen", "change", stdin=theirs, stderr=theirs)
    os.close(theirs)
    read_until(ours, "[y/N] ")
    if interrupts:
        # Not SIGINT, which whatever runs these tests in the background may have had ignored.
        process.terminate()
    else:
        os.write(ours, b"\x04")
    told = read_to_end(ours)
    process.communicate(timeout=120)
    os.close(ours)

    assert process.returncode == exit_code
    assert re.search(r"\n(\x1b\[[0-9;]*m)*error: ", told)


def test_no_input_asks_nobody_even_on_a_terminal(start_specimen: Start) -> None:
    ours, theirs = pty.openpty()
    process = start_specimen("--no-input", "specimen", "change", stdin=theirs, stderr=theirs)
    os.close(theirs)
    stdout, _ = process.communicate(timeout=120)
    os.close(ours)

    assert process.returncode == 2
    assert stdout == ""
