"""A host's clock that jumps, some hours ahead or back: before a command, while it runs, and while it lies dead.

What a command leaves is what it leaves under a steady clock, and what was done last stays the last.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clock import Clock
from tests.support.faults import LONG, SOAK, Faults
from tests.support.legacy import make_legacy
from tests.support.stages import CASES, Case, Outset, Stage, rows_and_schema
from tests.support.transfers import message, write_lines
from tests.support.zygote import Zygote

#: How often each command is killed, and finished under another clock.
ROUNDS = 20 if SOAK else 1
ENGINES = ["sqlite"] if not SOAK else ["sqlite", "mariadb", "postgresql"]
HOURS = 3600.0
#: A purge's conversations are half a day away from its limit.
MOST_SECONDS = 11 * HOURS

pytestmark = [*LONG, pytest.mark.parametrize("engine_name", ENGINES, indirect=True)]


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def ticking(clock: Clock, tmp_path: Path) -> Iterator[Zygote]:
    with Zygote(tmp_path, clock.environment) as started:
        yield started


@pytest.fixture
def stage(ticking: Zygote, engine_url: str, tmp_path: Path) -> Stage:
    folder = tmp_path / "files"
    folder.mkdir()
    return Stage(ticking, "mentor", engine_url, folder)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words.__name__.rstrip("_"))
def test_what_is_killed_is_finished_by_the_same_command_under_another_clock(
    case: Case, ticking: Zygote, clock: Clock, engine_url: str, tmp_path: Path, faults: Faults
) -> None:
    outset = Outset.of(case, ticking, engine_url, tmp_path / "files")

    def soon() -> float:
        return faults.chance.uniform(0.1, 0.9) * outset.seconds

    for _ in range(ROUNDS):
        jumps = [faults.chance.uniform(-MOST_SECONDS, MOST_SECONDS) for _ in range(3)]
        clock.set_ahead(jumps[0])
        with outset.stage.copy() as copy:
            outset.run(copy, soon())
            clock.set_ahead(jumps[1])
            later = threading.Timer(soon(), clock.set_ahead, (jumps[2],))
            later.start()
            outset.run(copy)
            later.join()
            outset.check(copy, jumps)
        faults.count("jumps of a clock", 3)


def test_a_rollback_goes_back_in_the_order_of_what_was_done_not_of_the_clock(stage: Stage, clock: Clock) -> None:
    make_legacy(stage.url, stage.layout)
    legacy = rows_and_schema(stage)
    clock.set_ahead(HOURS)
    stage.run("migrate", "up")
    clock.set_ahead(0)
    stage.run("regroup", "run")
    listed = [run["command"] for run in stage.data("runs", "list")["runs"]]
    assert listed[:2] == ["regroup run", "migrate up"]
    plan = stage.data("rollback", "plan")
    assert [step["step"] for step in plan["steps"]][:2] == ["regroup undo", "migrate down"]
    stage.run("rollback", "run", "--confirm", "default")
    assert rows_and_schema(stage) == legacy


def test_the_backup_that_was_taken_last_is_the_latest(stage: Stage, clock: Clock) -> None:
    make_legacy(stage.url, stage.layout)
    clock.set_ahead(HOURS)
    first = stage.data("backup", "create")["id"]
    clock.set_ahead(0)
    second = stage.data("backup", "create")["id"]
    assert [each["id"] for each in stage.data("backup", "list")["backups"]] == [second, first]
    assert stage.data("backup", "verify", "latest")["id"] == second
    stage.run("backup", "prune", "--keep-last", "1", "--confirm", "default")
    assert [each["id"] for each in stage.data("backup", "list")["backups"]] == [second]


def test_no_backup_is_chosen_by_its_time_where_the_clock_was_set_back(stage: Stage, clock: Clock) -> None:
    make_legacy(stage.url, stage.layout)
    write_lines(stage.folder / "m.jsonl", [message(1)])
    clock.set_ahead(HOURS)
    stage.run("import", "FOLDER/m.jsonl")
    clock.set_ahead(0)
    stage.run("migrate", "up")
    # By the clock it was taken before the migration, which is noted as an hour later.
    taken = stage.data("backup", "create")["id"]
    stage.run("backup", "restore", taken, "--no-safety-backup", "--confirm", "default")
    done = stage.run("rollback", "plan", also=9)
    assert (done.exit_code, "no_way_back" in done.stdout) == (9, True), done
