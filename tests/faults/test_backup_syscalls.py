"""A create, a restore and a rollback that are killed at a write, a sync, a rename or a statement on its way out.

strace ends the process at the Nth call of each kind, in chatctl itself or in a tool that it runs. What an undisturbed
run calls is counted first; `CHATCTL_SOAK_KILLS` says how many of each kind are tried at most, evenly spread.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Completed
from tests.support.clones import clone, state
from tests.support.faults import KILLED, Faults
from tests.support.legacy import make_legacy
from tests.support.zygote import Zygote

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.restore_marker import RestoreMarker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

CALLS = (
    "write", "pwrite64", "ftruncate", "fchmod", "fsync", "fdatasync", "rename", "unlink", "unlinkat", "mkdir", "sendto",
)  # fmt: skip
MOST = int(os.environ.get("CHATCTL_SOAK_KILLS") or 12)
CONFIRM = ("--confirm", "default")


@dataclass
class Bench:
    """Commands, those that are killed under strace, on databases that all have one store."""

    zygote: Zygote
    folder: Path
    store: Path

    def run(self, url: str, *command: str) -> tuple[int, Any]:
        """The exit code and the answer of an undisturbed command."""
        done = self.zygote(*command, "--output", "json", env=self._settings(url))
        return done.exit_code, json.loads(done.stdout)

    def kill(self, url: str, *command: str, at: str) -> int:
        """The exit code of one that is killed at that call, or whose tool is."""
        return self._traced(url, command, "-e", f"inject={at}", "-o", "/dev/null").exit_code

    def calls(self, url: str, *command: str) -> list[str]:
        """Every call to kill at, as strace's expression: `fsync:signal=KILL:when=3`."""
        trace = self.folder / "trace"
        done = self._traced(url, command, "-o", str(trace))
        assert done.exit_code == 0, done
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for line in trace.read_text(errors="replace").splitlines():
            process, _, call = line.partition(" ")
            name = call.strip().partition("(")[0]
            seen[name][process] += name in CALLS
        found = []
        for name, counts in seen.items():
            most = max(counts.values())
            found += [f"{name}:signal=KILL:when={number}" for number in range(1, most + 1, -(-most // MOST) or 1)]
        return found

    def _traced(self, url: str, command: Sequence[str], *options: str) -> Completed:
        strace = ("-f", "-qq", "-e", f"trace={','.join(CALLS)}", *options)
        return self.zygote(*command, "--output", "json", env=self._settings(url), strace=strace)

    def _settings(self, url: str) -> dict[str, str]:
        return {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor", "CHATCTL_BACKUP_STORE": str(self.store)}


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    # What Python writes of its own modules is no call of ours.
    with Zygote(tmp_path_factory.mktemp("zygote"), {"PYTHONDONTWRITEBYTECODE": "1"}) as started:
        yield started


@pytest.fixture
def bench(zygote: Zygote, tmp_path: Path) -> Bench:
    return Bench(zygote, tmp_path, tmp_path / "store")


@pytest.fixture
def legacy(engine_url: str) -> str:
    """A database of a few rows, under chatctl's revisions but not migrated."""
    make_legacy(engine_url, "mentor")
    return engine_url


def came_of(code: int) -> str:
    """What is counted of a command that ended so."""
    how = "killed" if code in (-9, KILLED) else "refused" if code else "through"
    return f"kills at a system call: {how}"


def marked(url: str) -> bool:
    """Whether the database says of itself that it is half restored."""
    database = Database(url)
    try:
        return RestoreMarker(database).read() is not None
    finally:
        database.close()


def test_a_create_killed_at_any_call_harms_no_other_backup(bench: Bench, legacy: str, faults: Faults) -> None:
    code, earlier = bench.run(legacy, "backup", "create")
    assert code == 0
    for call in bench.calls(legacy, "backup", "create"):
        before = {path.name for path in bench.store.iterdir()}
        code = bench.kill(legacy, "backup", "create", at=call)
        faults.count(came_of(code))
        for name in {path.name for path in bench.store.iterdir()} - before:
            whole = (bench.store / name / "manifest.json").exists()
            assert bench.run(legacy, "backup", "verify", name)[0] == (0 if whole else 9), call
            shutil.rmtree(bench.store / name)
    assert bench.run(legacy, "backup", "verify", earlier["data"]["id"])[0] == 0


def test_a_restore_killed_at_any_call_is_old_or_marked_and_finished_by_the_same_command(
    bench: Bench, legacy: str, faults: Faults
) -> None:
    backup = bench.run(legacy, "backup", "create")[1]["data"]["id"]
    before = state(legacy)
    spoil(legacy)
    spoiled = state(legacy)
    command = ("backup", "restore", backup, "--no-safety-backup", *CONFIRM)
    with clone(legacy) as copy:
        calls = bench.calls(copy, *command)
    for call in calls:
        with clone(legacy) as copy:
            code = bench.kill(copy, *command, at=call)
            faults.count(came_of(code))
            assert marked(copy) or state(copy) in (before, spoiled), call
            assert bench.run(copy, *command)[0] == 0, call
            assert state(copy) == before, call
            assert not marked(copy)


def test_a_rollback_killed_at_any_call_is_finished_by_the_same_command(
    bench: Bench, legacy: str, faults: Faults
) -> None:
    before = state(legacy)
    assert bench.run(legacy, "migrate", "--yes")[0] == 0
    assert bench.run(legacy, "regroup", "run")[0] == 0
    command = ("rollback", "run", *CONFIRM)
    with clone(legacy) as copy:
        calls = bench.calls(copy, *command)
        assert state(copy) == before
    for call in calls:
        with ExitStack() as stack:
            copy = stack.enter_context(clone(legacy))
            code = bench.kill(copy, *command, at=call)
            faults.count(came_of(code))
            again, answer = bench.run(copy, *command)
            assert again == 0, (call, answer)
            assert state(copy) == before, call


def spoil(url: str) -> None:
    """Takes rows away."""
    database = Database(url)
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM messages")
    database.close()
