"""What comes from outside: signals, a reader that goes away, a disk that is full.

SIGINT and SIGTERM finish the batch in hand and exit 130; a second one doesn't wait.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[..., subprocess.Popen[str]]


def test_ctrl_c_while_the_program_loads_is_no_traceback() -> None:
    program = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'chatctl.cli.app': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['chatctl', '--help']\n"
        "from chatctl.__main__ import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: Interrupted.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_long_work_after_its_batch(start_specimen: Start, number: signal.Signals) -> None:
    process = start_specimen("specimen", "long", "--output", "json")
    _wait_until_ready(process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)

    answer = json.loads(stdout)
    assert process.returncode == answer["exit_code"] == 130
    assert answer["status"] == "partial"
    assert answer["errors"][0]["hint"] == "To go on: chatctl specimen long --output json"
    assert f"{number.name}: finishing the batch in hand" in stderr


def test_a_second_signal_stops_at_once(start_specimen: Start) -> None:
    process = start_specimen("specimen", "stuck", "--output", "json")
    _wait_until_ready(process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "finishing" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=120)

    assert process.returncode == 130
    assert json.loads(stdout)["errors"][0]["code"] == "interrupted_run"


def test_whoever_stops_reading_ends_the_program_quietly(start_specimen: Start) -> None:
    process = start_specimen("specimen", "show", "--output", "json")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, stderr = process.communicate(timeout=120)

    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_a_full_disk_behind_stdout_is_said_on_stderr(start_specimen: Start, output: str) -> None:
    with Path("/dev/full").open("w") as full:
        process = start_specimen("specimen", "show", "--output", output, stdout=full)
        _, stderr = process.communicate(timeout=120)

    assert process.returncode == 13
    assert "No space is left." in stderr
    assert "Traceback" not in stderr


def _wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
