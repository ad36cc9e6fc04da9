"""A regrouping that is killed at any commit is finished by the same command, as if nothing had happened.

An undisturbed run writes down each moment that it passes; each of them then ends a run of its own, on a copy of the
same database. Two are killed in a row, too: the first run and the one that goes on with it.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.clones import clone
from tests.support.faults import KILLED, LONG, SOAK, Faults, moments_in
from tests.support.regrouping import Mentored, Message
from tests.support.zygote import Zygote

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.tables import LayoutTables

log = logging.getLogger(__name__)

START = datetime(2026, 1, 1, tzinfo=UTC)
#: What `sabotage.with_every_commit` makes of a run.
MOMENTS = ("commit.before", "commit.after", "ddl.after")
#: How many moments are tried, where not each one is.
TRIED = 4
#: How many kills at random have to hit a run, and how many are tried before it may come to its end.
RANDOM_HITS, KILLS_EACH = (100, 3) if SOAK else (2, 2)

pytestmark = LONG


@pytest.fixture
def flat(engine_url: str) -> str:
    """A database with messages of a few users, one of whom wrote half of them."""
    made = Mentored(engine_url)
    made.fill(
        Message(f"id{n:03d}", f"u{n % 2 * n % 7}", f"m{n % 3}", START + timedelta(minutes=n * 17 % 400))
        for n in range(60)
    )
    made.target.journal.ensure()
    made.close()
    return engine_url


class Killing:
    """Runs one command on databases, and kills it there."""

    def __init__(self, zygote: Zygote, folder: Path, *command: str) -> None:
        self._zygote = zygote
        self._trace = folder / "moments"
        self._command = command

    def run(self, url: str, *expected: int, **variables: str) -> None:
        env = {**variables, "CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor"}
        done = self._zygote(*self._command, env=env, sabotage="with_every_commit" if variables else None)
        assert done.exit_code in (expected or (0,)), f"{variables}\n{done}"

    def killed(self, url: str, seconds: float) -> bool:
        """Runs until SIGKILL after `seconds`; whether it came to that before the end."""
        env = {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor"}
        done = self._zygote(*self._command, env=env, kill_after_seconds=seconds)
        assert done.exit_code in (0, KILLED), done
        return done.exit_code == KILLED

    def moments(self, url: str) -> list[str]:
        """Runs undisturbed; each commit that it passed, as a fail point's value."""
        self.run(url, CHATCTL_FAIL_POINT_TRACE=str(self._trace))
        return [moment for moment in moments_in(self._trace) if moment.partition(":")[0] in MOMENTS]


def fingerprints(url: str) -> list[tuple[int, str]]:
    """A checksum of each table of the application."""
    from chatctl.layouts import load_layout

    database = Database(url)
    tables = LayoutTables(load_layout("mentor"))
    try:
        with database.connect() as connection:
            names = ("users", "mentors", "chats", "messages")
            return [database.dialect.fingerprint(connection, tables[name]) for name in names]
    finally:
        database.close()


def records(url: str) -> list[str]:
    """The tables that regroupings have kept beside the data."""
    database = Database(url)
    try:
        with database.connect() as connection:
            return [name for name in sa.inspect(connection).get_table_names() if name.startswith("chatctl_regroup_")]
    finally:
        database.close()


@pytest.mark.parametrize("gap", ["none", "1h"])
def test_a_run_killed_at_a_commit_is_finished_by_the_same_command(
    zygote: Zygote, flat: str, gap: str, tmp_path: Path, faults: Faults
) -> None:
    killing = Killing(zygote, tmp_path, "regroup", "run", "--gap", gap, "--batch-size", "20")
    with clone(flat) as undisturbed:
        moments = killing.moments(undisturbed)
        expected = fingerprints(undisturbed)
    assert len(moments) > 25
    for moment in faults.spread(moments, TRIED):
        with clone(flat) as copy:
            killing.run(copy, KILLED, CHATCTL_FAIL_POINT=moment)
            killing.run(copy)
            assert fingerprints(copy) == expected, moment
    log.info("%s of %d moments, gap %s: the same as undisturbed", dict(faults.counted), len(moments), gap)


def test_an_undo_killed_at_a_commit_is_finished_by_the_same_command(
    zygote: Zygote, flat: str, tmp_path: Path, faults: Faults
) -> None:
    before = fingerprints(flat)
    Killing(zygote, tmp_path, "regroup", "run", "--gap", "1h").run(flat)
    killing = Killing(zygote, tmp_path, "regroup", "undo", "--confirm", "default", "--batch-size", "5")
    sealing = Killing(zygote, tmp_path, "regroup", "seal", "--yes")
    with clone(flat) as undisturbed:
        moments = killing.moments(undisturbed)
        assert fingerprints(undisturbed) == before
    for moment in faults.spread(moments, TRIED):
        with clone(flat) as copy:
            killing.run(copy, KILLED, CHATCTL_FAIL_POINT=moment)
            # Behind its last commit it is done, and says so.
            killing.run(copy, 0, 11)
            assert fingerprints(copy) == before, moment
            sealing.run(copy)
            assert records(copy) == [], moment
    log.info("undo: %s of %d moments: the same as before the run", dict(faults.counted), len(moments))


def test_a_run_that_is_killed_again_and_again_comes_to_its_end(zygote: Zygote, flat: str, tmp_path: Path) -> None:
    killing = Killing(zygote, tmp_path, "regroup", "run", "--workers", "2", "--batch-size", "10")
    with clone(flat) as undisturbed:
        killing.run(undisturbed)
        expected = fingerprints(undisturbed)
    for _ in range(4):
        killing.run(flat, KILLED, CHATCTL_FAIL_POINT="batch.after-commit:3")
    killing.run(flat)
    assert fingerprints(flat) == expected


@pytest.mark.parametrize("gap", ["none", "1h"])
def test_a_run_killed_at_random_instants_is_finished_by_the_same_command(
    zygote: Zygote, flat: str, gap: str, tmp_path: Path, faults: Faults
) -> None:
    killing = Killing(zygote, tmp_path, "regroup", "run", "--gap", gap, "--batch-size", "7", "--workers", "2")
    with clone(flat) as undisturbed:
        began = time.monotonic()
        killing.run(undisturbed)
        whole = time.monotonic() - began
        expected = fingerprints(undisturbed)
    hits = tried = runs = 0
    while hits < RANDOM_HITS:
        with clone(flat) as copy:
            hit, kills = True, 0
            while hit and kills < KILLS_EACH:
                hit = killing.killed(copy, faults.chance.uniform(0.02, 0.9) * whole)
                # Runs take longer or less long as the machine has other work.
                whole *= 1.05 if hit else 0.8
                hits, kills = hits + hit, kills + 1
            killing.run(copy)
            assert fingerprints(copy) == expected, hits
        tried, runs = tried + kills, runs + 1
        # The control: kills that all come too late would prove nothing.
        assert tried <= 10 * RANDOM_HITS
    faults.count("kills at random", hits)
    log.info("%d runs killed at random, %d times in all, gap %s: the same as undisturbed", runs, hits, gap)


def test_two_workers_killed_in_turns_leave_what_one_leaves(zygote: Zygote, flat: str, tmp_path: Path) -> None:
    killing = Killing(zygote, tmp_path, "regroup", "run", "--gap", "1h", "--batch-size", "3")
    with clone(flat) as undisturbed:
        began = time.monotonic()
        killing.run(undisturbed)
        whole = time.monotonic() - began
        expected = fingerprints(undisturbed)
    killing.run(flat, KILLED, CHATCTL_FAIL_POINT="batch.after-commit:2")
    database = Database(flat)
    with database.connect() as connection:
        run_id = Journal(database).runs.list(connection, limit=1)[0].id
    database.close()
    env = {"CHATCTL_DATABASE": flat, "CHATCTL_LAYOUT": "mentor"}
    joining = ("regroup", "run", "--resume", run_id, "--batch-size", "3")
    killed = 0
    for turn in range(40 if SOAK else 3):
        first, second = (0.15, 0.4) if turn % 2 else (0.4, 0.15)
        answers = zygote.together([(joining, first * whole), (joining, second * whole)], env=env)
        assert {answer.exit_code for answer in answers} <= {0, 11, KILLED}, answers
        killed += sum(answer.exit_code == KILLED for answer in answers)
        if not all(answer.exit_code == KILLED for answer in answers):
            break
    assert killed
    killing.run(flat)
    assert fingerprints(flat) == expected
