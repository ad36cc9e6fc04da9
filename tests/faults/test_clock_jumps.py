"""A clock that jumps, some hours ahead or back: before a command, while it runs, and while it lies dead.

The clock of the host that runs the commands, or the one of its database server, for which SQLite has the host's. What a
command leaves is what it leaves under a steady clock, and what was done last stays the last.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.clock import Clock
from tests.support.databases import Databases
from tests.support.faults import LONG, SOAK, Faults
from tests.support.legacy import make_legacy
from tests.support.servers import own_server
from tests.support.stages import CASES, Case, Outset, Stage, rows_and_schema
from tests.support.transfers import message, write_lines
from tests.support.zygote import Zygote

from chatctl.stores.sql.database import Database

#: How often each command is killed, and finished under another clock.
ROUNDS = 20 if SOAK else 1
ENGINES = ["sqlite"] if not SOAK else ["sqlite", "mariadb", "postgresql"]
SERVERS = [
    pytest.param("mysql", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]
HOURS = 3600.0
#: A purge's conversations are half a day away from its limit.
MOST_SECONDS = 11 * HOURS

pytestmark = LONG
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.words.__name__.rstrip("_"))
each_engine = pytest.mark.parametrize("engine_name", ENGINES, indirect=True)


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    with tempfile.TemporaryDirectory() as folder:
        # A server's account reads it as well.
        Path(folder).chmod(0o755)
        yield Clock(Path(folder) / "clock")


@pytest.fixture(autouse=True)
def steady(clock: Clock) -> None:
    """Lets each test begin at the machine's time."""
    clock.set_ahead(0)


@pytest.fixture(scope="module")
def ticking(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with Zygote(tmp_path_factory.mktemp("ticking"), clock.environment) as started:
        yield started


@pytest.fixture(scope="module", params=SERVERS)
def ticking_server(clock: Clock, request: pytest.FixtureRequest) -> Iterator[Databases]:
    with own_server(request.param, environment=clock.environment) as server:
        yield Databases(server.url)


@pytest.fixture
def stage(ticking: Zygote, engine_url: str, tmp_path: Path) -> Stage:
    folder = tmp_path / "files"
    folder.mkdir()
    return Stage(ticking, "mentor", engine_url, folder)


@each_case
@each_engine
def test_what_is_killed_is_finished_by_the_same_command_under_another_clock(
    case: Case, ticking: Zygote, clock: Clock, engine_url: str, tmp_path: Path, faults: Faults
) -> None:
    outset = Outset.of(case, ticking, engine_url, tmp_path / "files")
    disturb(outset, clock, faults)


@each_case
def test_what_is_killed_is_finished_by_the_same_command_under_another_clock_of_the_server(
    case: Case, zygote: Zygote, clock: Clock, ticking_server: Databases, tmp_path: Path, faults: Faults
) -> None:
    with ticking_server.database() as url:
        outset = Outset.of(case, zygote, url, tmp_path / "files")
        disturb(outset, clock, faults)


def test_the_servers_clock_is_the_one_that_jumps(clock: Clock, ticking_server: Databases) -> None:
    with ticking_server.database() as url, closing(Database(url)) as database:
        for ahead in (HOURS, -HOURS):
            clock.set_ahead(ahead)
            with database.connect() as connection:
                off = database.dialect.now(connection) - datetime.now(UTC)
            assert off.total_seconds() == pytest.approx(ahead, abs=60)


def disturb(outset: Outset, clock: Clock, faults: Faults) -> None:
    """Kills the command and finishes it, under three times of day."""

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


@each_engine
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


@each_engine
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


@each_engine
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
    done = stage.run("rollback", "plan", also={9})
    assert (done.exit_code, "no_way_back" in done.stdout) == (9, True), done
