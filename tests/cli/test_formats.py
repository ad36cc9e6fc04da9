"""What stdout holds in each format, byte by byte."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from tests.support.cli import Completed
from tests.support.specimen import ROWS

Invoke = Callable[..., Completed]
Golden = Callable[[str, str], None]


@pytest.mark.parametrize("output", ["table", "json", "yaml", "csv"])
def test_each_format_has_its_golden_bytes(specimen_cli: Invoke, golden: Golden, output: str) -> None:
    golden(f"specimen-show.{output}", specimen_cli("specimen", "show", "--output", output).stdout)


def test_csv_is_the_principal_list_by_rfc_4180_and_nothing_else(specimen_cli: Invoke) -> None:
    text = specimen_cli("specimen", "show", "--output", "csv").stdout

    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["name", "size", "ok", "note"]
    assert [row[0] for row in rows] == [row["name"] for row in ROWS]
    assert text.count("\r\n") == len(ROWS) + 1


def test_csv_of_a_failed_command_is_empty(specimen_cli: Invoke) -> None:
    answer = specimen_cli("specimen", "fail", "NotFoundError", "--output", "csv")

    assert answer.stdout == ""
    assert answer.stderr.startswith("error: ")


def test_stored_text_is_neither_markup_nor_an_escape(specimen_cli: Invoke) -> None:
    text = specimen_cli("specimen", "show").stdout

    assert "[bold]plain[/bold]" in text
    assert ":smile:" in text
    assert "\x1b" not in text
    assert "esc\\x1b[31mred" in text


def test_off_a_terminal_a_row_is_one_line_without_trailing_blanks(specimen_cli: Invoke) -> None:
    lines = specimen_cli("specimen", "show").stdout.splitlines()

    assert len([line for line in lines if "two\\nlines" in line]) == 1
    assert all(line == line.rstrip() for line in lines)


def test_escapes_are_written_only_when_asked_for(specimen_cli: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = specimen_cli("specimen", "show")
    monkeypatch.setenv("NO_COLOR", "1")
    without = specimen_cli("specimen", "show")
    always = specimen_cli("--color", "always", "specimen", "show")

    assert "\x1b[" not in plain.stdout + plain.stderr
    assert without == plain
    assert "\x1b[1m" in always.stdout
    assert "\x1b[" in always.stderr


def test_quiet_and_verbose_leave_the_data_alone(specimen_cli: Invoke) -> None:
    normal = specimen_cli("specimen", "long", "--seconds", "0.1")
    quiet = specimen_cli("specimen", "long", "--seconds", "0.1", "--quiet")
    verbose = specimen_cli("specimen", "long", "--seconds", "0.1", "--verbose")

    assert normal.stdout == quiet.stdout == verbose.stdout != ""
    assert normal.stderr.startswith("ready\n")
    assert quiet.stderr == ""


def test_progress_is_log_lines_with_log_format_json(specimen_cli: Invoke) -> None:
    import json

    answer = specimen_cli("specimen", "long", "--seconds", "0.1", "--log-format", "json", "--quiet")

    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    assert lines[0]["message"] == "ready"
    assert (lines[-1]["total"], lines[-1]["unit"]) == (100, "rows")
    assert {"time", "level", "logger", "run_id"} <= set(lines[-1])
