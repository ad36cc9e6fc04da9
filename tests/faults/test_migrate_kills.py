"""A migration that is killed at any moment is finished by the same command, as if nothing had happened.

The long tests try every moment, none sampled: an undisturbed run writes down each one that it passes, and each of them
then ends a run of its own, in a copy of the same database. The run of the same command afterwards needs no option, no
repair and no waiting, and leaves the schema and the rows of the undisturbed one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from tests.support.alembic_project import make_project
from tests.support.clones import clone, content
from tests.support.databases import Databases
from tests.support.faults import KILLED, Faults, moments_in
from tests.support.legacy import make_legacy, put_every_message_into_a_chat
from tests.support.servers import given_url, own_server
from tests.support.zygote import Zygote

from chatctl.layouts import builtin_names
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.revisions import Revisions

#: How many kills from outside there are, on each engine.
RANDOM_KILLS = 50
UP = ("migrate", "up")
PROJECT_UP = ("migrate", "up", "--confirm", "default", "--allow-copy")
PROJECT_DOWN = ("migrate", "down", "shop01", "--confirm", "default")
#: Where the kills at each moment of a project's twenty revisions stop on their way: to run them all each time takes
#: hours.
STOPS = ("shop01", "shop05", "shop09", "shop13", "shop17", "shop20")
CONTRACT = ("migrate", "up", "--phase", "contract", "--confirm", "default")
#: The moments at which a kill leaves something behind, so that each is tried on its own.
STATEMENT_MOMENTS = ("statement.before", "statement.after", "statement.journaled")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a command leaves: the application's schema and rows, the revision, and how its runs came out."""

    schema: dict[str, str]
    rows: dict[str, list[str]]
    revision: str | None
    unfinished: int


@dataclass(frozen=True)
class Bench:
    """Where commands of one layout run and die."""

    zygote: Zygote
    layout: str
    folder: Path
    faults: Faults
    settings: dict[str, str] = field(default_factory=dict)

    def run(self, command: tuple[str, ...], url: str, expected: int = 0, **options: str) -> str:
        """Runs the command on `url`; its stderr."""
        sabotage = options.pop("sabotage", None)
        env = {**options, "CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": self.layout, **self.settings}
        done = self.zygote(*command, env=env, sabotage=sabotage)
        assert done.exit_code == expected, f"{options}\n{done}"
        return done.stderr

    def moments(self, command: tuple[str, ...], url: str) -> list[str]:
        """Runs the command undisturbed; every moment that it passed, as a fail point's value."""
        trace = self.folder / "moments"
        trace.unlink(missing_ok=True)
        self.run(command, url, CHATCTL_FAIL_POINT_TRACE=str(trace))
        return moments_in(trace)

    def outcome(self, url: str) -> Outcome:
        """What is there now."""
        database = Database(url)
        try:
            with database.connect() as connection:
                schema = take_snapshot(connection)
                revision = Revisions(self.layout, database.dialect).current(connection)
                journal = Journal(database)
                runs = journal.runs.list(connection) if journal.exists(connection) else []
        finally:
            database.close()
        return Outcome(schema, content(url), revision, sum(run.status.unfinished for run in runs))

    def kill_at_each_moment(self, command: tuple[str, ...], url: str, step: int = 1) -> None:
        """Tries every moment of the command (or each `step`th) on copies of `url`, then runs it there undisturbed."""
        with clone(url) as undisturbed:
            moments = self.moments(command, undisturbed)
            expected = self.outcome(undisturbed)
        assert {moment.partition(":")[0] for moment in moments} >= {*STATEMENT_MOMENTS, "revision.after-commit"}
        for moment in self.faults.each(moments[::step]):
            with clone(url) as copy:
                self.run(command, copy, KILLED, CHATCTL_FAIL_POINT=moment)
                self.run(command, copy, MOMENT=moment)
                assert self.outcome(copy) == expected, moment
        self.run(command, url)
        assert self.outcome(url) == expected
        engine = url.partition(":")[0]
        tried = len(moments[::step])
        log.info("%s, %s %s: killed at %d of %d moments", engine, self.layout, " ".join(command), tried, len(moments))

    def kill_at_random(self, command: tuple[str, ...], url: str, rounds: int) -> int:
        """Kills the command on copies of `url` at times that nobody chose, then runs it there; how many died of it.

        Whoever is hit in the middle of a run is hit again in the next one, now and then.
        """
        with clone(url) as undisturbed:
            began = time.monotonic()
            self.run(command, undisturbed)
            seconds = time.monotonic() - began
            expected = self.outcome(undisturbed)
        env = {"CHATCTL_LAYOUT": self.layout, **self.settings}
        died = 0
        for number in range(rounds):
            with clone(url) as copy:
                for _ in range(1 + number % 3 // 2):
                    after = self.faults.chance.uniform(0, seconds)
                    done = self.zygote(*command, env={**env, "CHATCTL_DATABASE": copy}, kill_after_seconds=after)
                    assert done.exit_code in (0, KILLED), done
                    died += done.exit_code == KILLED
                self.run(command, copy)
                assert self.outcome(copy) == expected, f"round {number}, {after} s of {seconds}"
        self.run(command, url)
        self.faults.count("kills at random", died)
        return died


@pytest.fixture(scope="module")
def quick_servers() -> Iterator[Callable[[str], Databases]]:
    """Servers that don't wait for the disk: what is killed here is chatctl, never the server."""
    settings = {
        "mysql": {"innodb-flush-log-at-trx-commit": "0", "sync-binlog": "0", "innodb-doublewrite": "0"},
        "postgresql": {"fsync": "off", "full_page_writes": "off"},
    }
    with ExitStack() as stack:

        @cache
        def started(kind: str) -> Databases:
            return Databases(given_url(kind) or stack.enter_context(own_server(kind, settings[kind])).url)

        yield started


@pytest.fixture
def database_url(engine_name: str, quick_servers: Callable[[str], Databases], tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database on each engine in turn."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'chat.db'}"
        return
    kind = "mysql" if engine_name == "mariadb" else engine_name
    with quick_servers(kind).database() as url:
        yield url


@pytest.fixture
def bench(zygote: Zygote, tmp_path: Path, database_url: str, layout: str, faults: Faults) -> Bench:
    make_legacy(database_url, layout)
    return Bench(zygote, layout, tmp_path, faults)


@pytest.mark.parametrize("layout", ["mentor"])
def test_expanding_is_finished_after_a_kill_at_a_few_moments(bench: Bench, database_url: str) -> None:
    # Each kind of moment, in several revisions; the long tests try them all.
    bench.kill_at_each_moment(UP, database_url, step=7)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("layout", builtin_names())
def test_the_whole_way_there_and_back_is_finished_after_a_kill_at_any_moment(bench: Bench, database_url: str) -> None:
    legacy = bench.outcome(database_url)
    bench.kill_at_each_moment(UP, database_url)
    if bench.layout == "mentor":
        put_every_message_into_a_chat(database_url)
        bench.kill_at_each_moment(CONTRACT, database_url)
    down = ("migrate", "down", f"{bench.layout}_0001", "--confirm", "default")
    bench.kill_at_each_moment(down, database_url)
    back = bench.outcome(database_url)
    assert back.schema == legacy.schema
    assert back.rows == legacy.rows


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_an_application_s_own_project_is_finished_after_a_kill_at_any_moment(
    zygote: Zygote, tmp_path: Path, database_url: str, direction: str, faults: Faults
) -> None:
    project = {"CHATCTL_MIGRATIONS_SCRIPT_LOCATION": str(make_project(tmp_path / "shop"))}
    bench = Bench(zygote, "native", tmp_path, faults, project)
    bench.run(("migrate", "up", "shop01"), database_url)
    stops = STOPS
    if direction == "down":
        bench.run(PROJECT_UP, database_url)
        stops = STOPS[::-1]
    for stop in stops[1:]:
        more = ("--allow-copy",) if direction == "up" else ()
        bench.kill_at_each_moment(("migrate", direction, stop, "--confirm", "default", *more), database_url)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_data_migration_in_python_is_finished_after_a_kill_at_any_moment(
    zygote: Zygote, tmp_path: Path, database_url: str, faults: Faults
) -> None:
    project = {"CHATCTL_MIGRATIONS_SCRIPT_LOCATION": str(make_project(tmp_path / "shop", count=6))}
    bench = Bench(zygote, "native", tmp_path, faults, project)
    bench.run(("migrate", "up", "shop05"), database_url)
    bench.kill_at_each_moment(PROJECT_UP, database_url)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kills_from_outside_at_any_time_are_survived(
    zygote: Zygote, tmp_path: Path, database_url: str, faults: Faults
) -> None:
    project = {"CHATCTL_MIGRATIONS_SCRIPT_LOCATION": str(make_project(tmp_path / "shop"))}
    shop = Bench(zygote, "native", tmp_path, faults, project)
    shop.run(("migrate", "up", "shop01"), database_url)
    killed = shop.kill_at_random(PROJECT_UP, database_url, RANDOM_KILLS // 2)
    killed += shop.kill_at_random(PROJECT_DOWN, database_url, RANDOM_KILLS // 2)
    engine = database_url.partition(":")[0]
    log.info("%s: %d died of %d random kills or more, before they were done", engine, killed, RANDOM_KILLS)
    assert killed > RANDOM_KILLS // 2


@pytest.mark.parametrize("layout", ["mentor"])
@pytest.mark.parametrize("engine_name", [pytest.param("mariadb", marks=pytest.mark.mysql)], indirect=True)
def test_without_the_journal_a_killed_migration_stays_stuck(bench: Bench, database_url: str) -> None:
    bench.run(UP, database_url, KILLED, CHATCTL_FAIL_POINT="statement.journaled:2")
    with pytest.raises(AssertionError, match="already exists"):
        bench.run(UP, database_url, sabotage="without_journal")
