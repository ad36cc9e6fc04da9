"""Ctrl-C and SIGTERM: the batch in hand is finished, exit 130, and the same command goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.cli import Cli
from tests.support.transfers import fingerprint, make_tables, message, write_lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_rows_come_in(run_cli: Cli, tmp_path: Path, number: signal.Signals) -> None:
    url = f"sqlite:///{tmp_path / 'chat.db'}"
    make_tables(url)
    text = write_lines(tmp_path / "m.jsonl", map(message, range(4_000))).read_bytes()
    command = ("import", "-", "--batch-size", "100", "--database", url, "--layout", "mentor", "--output", "json")
    with run_cli.start(*command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(text[: len(text) // 2])
        process.stdin.flush()
        _wait_for_rows(url, process)
        process.send_signal(number)
        stdout = process.stdout.read()

    assert process.returncode == 130
    answer = json.loads(stdout)
    assert answer["status"] == "partial"
    assert answer["errors"][0]["hint"].startswith("To go on: chatctl import -")
    assert 0 < fingerprint(url)[0] < 4_000

    data = run_cli(*command, stdin=text).json["data"]
    assert (data["resumed"], data["rows_read"], data["imported"], data["repeated"]) == (True, 4_000, 4_000, 0)


def _wait_for_rows(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if fingerprint(url)[0]:
            return
        time.sleep(0.05)
    pytest.fail("no row came in")
