"""A purge that is killed at any moment loses nothing, and the same command finishes it.

The moments are each commit, whoever makes it, and each step of writing an archive: before it is written, before and
after its fsync, after its rename, after its line in the manifest. A conversation that is gone is in an archive; none is
in two; and what was purged in the end comes back as it was.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.clones import clone, content
from tests.support.faults import KILLED, LONG, Faults, moments_in
from tests.support.purging import DAY, bed
from tests.support.zygote import Zygote

from chatctl.stores.archive_folder import MANIFEST, ArchiveFolder
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.purge.archives import Archives

#: How many moments are tried, where not each one is.
TRIED = 6
EXPIRED = 4
PURGE = ("purge", "run", "--confirm", "default", "--batch-size", "2")
RESTORE = ("purge", "restore")
ERASE = ("purge", "--erase-user", "gone", "--confirm", "default")
ARCHIVING = {
    "archive.before-write", "archive.before-fsync", "archive.after-fsync", "archive.after-rename", "archive.listed",
}  # fmt: skip
#: `sabotage.with_every_commit` makes a moment of each commit.
MOMENTS = {"commit.before", "commit.after", "batch.before-commit", "batch.after-commit", "purge.locked", *ARCHIVING}

pytestmark = LONG


@dataclass(frozen=True)
class Bench:
    """Where purges of copies of one database run and die."""

    zygote: Zygote
    folder: Path

    def run(self, *command: str, url: str, expected: int = 0, **variables: str) -> dict[str, Any]:
        """Runs a command on `url`; its data."""
        env = {
            "CHATCTL_DATABASE": url,
            "CHATCTL_LAYOUT": "worker",
            "CHATCTL_PURGE_ARCHIVE_FOLDER": str(self.archives(url)),
            **variables,
        }
        done = self.zygote("--output", "json", *command, env=env, sabotage="with_every_commit" if variables else None)
        assert done.exit_code == expected, f"{variables}\n{done}"
        return {} if expected == KILLED else json.loads(done.stdout)["data"]

    def archives(self, url: str) -> Path:
        """The archive folder that goes with the database of `url`."""
        return self.folder / f"archives-of-{Path(sa.make_url(url).database or '').name}"

    def moments(self, command: tuple[str, ...], url: str) -> list[str]:
        """Every moment that a command passes undisturbed, as a fail point's value."""
        trace = self.folder / f"moments-{len(command)}"
        self.run(*command, url=url, CHATCTL_FAIL_POINT_TRACE=str(trace))
        return moments_in(trace)

    def killed(self, command: tuple[str, ...], url: str, moment: str) -> None:
        """Runs a command up to a moment."""
        self.run(*command, url=url, expected=KILLED, CHATCTL_FAIL_POINT=moment)

    def archived(self, url: str) -> int:
        """The conversations in archives that the index knows, each archive found whole."""
        database = Database(url)
        try:
            archives = Archives(Journal(database), ArchiveFolder(self.archives(url)))
            with database.connect() as connection:
                if not sa.inspect(connection).has_table("chatctl_archives"):
                    return 0
                listed = archives.all(connection)
                for archive in listed:
                    archives.verify(connection, archive)
            return sum(archive.chats for archive in listed)
        finally:
            database.close()


@pytest.fixture
def bench(zygote: Zygote, tmp_path: Path, engine_url: str) -> Bench:
    made = bed(engine_url, "worker", tmp_path)
    now = datetime.now(UTC)
    for number in range(EXPIRED):
        made.add(f"c{number}", now - (31 + number) * DAY, account="gone" if number == 1 else "stays")
    made.add("fresh", now, account="stays")
    made.add("recent", now, account="gone")
    made.close()
    return Bench(zygote, tmp_path)


def test_a_purge_killed_at_any_moment_loses_nothing_and_doubles_nothing(
    bench: Bench, engine_url: str, faults: Faults
) -> None:
    whole = content(engine_url)
    with clone(engine_url) as undisturbed:
        moments = bench.moments(PURGE, undisturbed)
        purged = content(undisturbed)
    assert {moment.partition(":")[0] for moment in moments} >= MOMENTS
    for moment in faults.spread(moments, TRIED):
        with clone(engine_url) as copy:
            bench.killed(PURGE, copy, moment)
            gone = len(whole["conversations"]) - len(content(copy)["conversations"])
            assert bench.archived(copy) == gone, moment
            bench.run(*PURGE, url=copy)
            assert content(copy) == purged, moment
            assert bench.archived(copy) == EXPIRED, moment
            bench.run(*RESTORE, url=copy)
            assert content(copy) == whole, moment


def test_without_archives_the_same_kill_does_lose(bench: Bench, engine_url: str) -> None:
    """The negative control: what the test above counts can come out wrong."""
    whole = content(engine_url)
    killed = {"CHATCTL_FAIL_POINT": "batch.after-commit:1", "CHATCTL_PURGE_ARCHIVE": "none"}
    bench.run(*PURGE, url=engine_url, expected=KILLED, **killed)
    gone = len(whole["conversations"]) - len(content(engine_url)["conversations"])
    assert (gone, bench.archived(engine_url)) == (2, 0)


def test_a_restore_killed_at_any_commit_is_finished_by_the_same_command(
    bench: Bench, engine_url: str, faults: Faults
) -> None:
    whole = content(engine_url)
    with clone(engine_url) as undisturbed:
        bench.run(*PURGE, url=undisturbed)
        moments = bench.moments(RESTORE, undisturbed)
    for moment in faults.spread(moments, TRIED):
        with clone(engine_url) as copy:
            bench.run(*PURGE, url=copy)
            bench.killed(RESTORE, copy, moment)
            bench.run(*RESTORE, url=copy)
            assert content(copy) == whole, moment


def test_an_erasure_killed_at_any_moment_is_finished_by_the_same_command(
    bench: Bench, engine_url: str, faults: Faults
) -> None:
    bench.run(*PURGE, url=engine_url)
    with clone(engine_url) as undisturbed:
        shutil.copytree(bench.archives(engine_url), bench.archives(undisturbed))
        moments = bench.moments(ERASE, undisturbed)
        erased = content(undisturbed)
    assert {moment.partition(":")[0] for moment in moments} >= ARCHIVING
    for moment in faults.spread(moments, TRIED):
        with clone(engine_url) as copy:
            shutil.copytree(bench.archives(engine_url), bench.archives(copy))
            bench.killed(ERASE, copy, moment)
            bench.run(*ERASE, url=copy)
            assert content(copy) == erased, moment
            assert bench.archived(copy) == EXPIRED - 1, moment
            files = [path for path in bench.archives(copy).glob("*/*") if path.name != MANIFEST]
            assert len(files) == 2, moment
            bench.run(*RESTORE, url=copy)
            assert len(content(copy)["conversations"]) == EXPIRED, moment
