"""`runs show --watch`: looks until the run ends, or until somebody has seen enough."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.cli import Cli


@pytest.fixture
def run_id(run_cli: Cli, tmp_path: Path) -> str:
    """A run that is at work, as far as the journal says."""
    run_cli.environment |= {"CHATCTL_DATABASE": f"sqlite:///{tmp_path / 'chat.db'}", "CHATCTL_LAYOUT": "worker"}
    assert run_cli("migrate", "up").exit_code == 0
    run = run_cli("runs", "list", "-o", "json").json["data"]["runs"][0]
    set_status(tmp_path, "running")
    return str(run["run_id"])


def set_status(folder: Path, status: str) -> None:
    with closing(sqlite3.connect(folder / "chat.db")) as connection:
        connection.execute("UPDATE chatctl_runs SET status = ?", (status,))
        connection.commit()


def test_it_looks_until_the_run_ends(run_cli: Cli, run_id: str, tmp_path: Path) -> None:
    watching = run_cli.start("runs", "show", run_id, "--watch", "-o", "json")
    assert watching.stderr is not None
    assert b" running: " in watching.stderr.readline()

    set_status(tmp_path, "done")

    stdout, stderr = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert b'"status": "done"' in stdout
    assert b" done: " in stderr


def test_an_interrupt_ends_the_looking_with_what_was_seen_last(run_cli: Cli, run_id: str) -> None:
    watching = run_cli.start("runs", "show", run_id, "--watch")
    assert watching.stderr is not None
    watching.stderr.readline()

    watching.send_signal(signal.SIGINT)

    stdout, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert run_id.encode() in stdout
