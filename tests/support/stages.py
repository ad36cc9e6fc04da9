"""Commands that change something, each with the state that it is run in and what is looked at in the end.

One table for the tests that disturb them. What a command leaves is compared with what an undisturbed one leaves.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.cli import Completed
from tests.support.clones import clone, state
from tests.support.faults import KILLED
from tests.support.legacy import make_legacy
from tests.support.purging import DAY, bed
from tests.support.regrouping import Mentored, Message
from tests.support.transfers import make_tables, message, write_lines
from tests.support.zygote import Zygote

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal

_NOT_FOUND = 11
_CONFIRM = ("--confirm", "default")


@dataclass(frozen=True)
class Stage:
    """One copy of a database, and the folder of its archives, backups and data."""

    zygote: Zygote
    layout: str
    url: str
    folder: Path

    def run(self, *words: str, also: Collection[int] = (), kill_after_seconds: float | None = None) -> Completed:
        """Runs a command to its end, or to its death; it may end with one of `also`, too."""
        env = {
            "CHATCTL_DATABASE": self.url,
            "CHATCTL_LAYOUT": self.layout,
            "CHATCTL_DATA_DIR": str(self.folder / "data"),
            "CHATCTL_BACKUP_STORE": str(self.folder / "store"),
            "CHATCTL_PURGE_ARCHIVE_FOLDER": str(self.folder / "archives"),
        }
        words = tuple(word.replace("FOLDER", str(self.folder)) for word in words)
        done = self.zygote(*words, "--output", "json", env=env, kill_after_seconds=kill_after_seconds)
        assert done.exit_code in {0, KILLED, *also}, done
        return done

    def data(self, *words: str) -> Any:
        """What a command answers that comes to its end."""
        return json.loads(self.run(*words).stdout)["data"]

    def unfinished(self) -> int:
        """The runs that nobody has finished."""
        database = Database(self.url)
        try:
            with database.connect() as connection:
                journal = Journal(database)
                runs = journal.runs.list(connection) if journal.exists(connection) else []
                return sum(run.status.unfinished for run in runs)
        finally:
            database.close()

    @contextmanager
    def copy(self) -> Iterator[Stage]:
        """Another stage like this one."""
        with clone(self.url) as url:
            folder = self.folder.with_name(Path(url).name.partition("?")[0] + "-files")
            shutil.copytree(self.folder, folder)
            yield Stage(self.zygote, self.layout, url, folder)
            shutil.rmtree(folder)


def rows_and_schema(stage: Stage) -> Any:
    """What the application has."""
    return state(stage.url)


def rows_and_archives(stage: Stage) -> Any:
    """What a purge leaves, and what it has archived: all that it took."""
    left = state(stage.url)
    stage.run("purge", "restore")
    return left, state(stage.url)


def whole_backups(stage: Stage) -> Any:
    """That each backup that is called complete verifies, and that there is one."""
    backups = stage.data("backup", "list")["backups"]
    complete = [each["id"] for each in backups if each["state"] == "complete"]
    assert complete
    return [all(stage.data("backup", "verify", each)["ok"] for each in complete), state(stage.url)]


@dataclass(frozen=True)
class Case:
    """A command, the layout and the state that it is run in, and what is looked at in the end."""

    layout: str
    words: Callable[[Stage], tuple[str, ...]]
    left: Callable[[Stage], Any]
    #: How it ends where a kill came after its end and before its process's.
    again: int = 0


@dataclass(frozen=True)
class Outset:
    """A case that is ready to be disturbed: what an undisturbed run of it took and left."""

    case: Case
    stage: Stage
    words: tuple[str, ...]
    seconds: float
    expected: Any

    @classmethod
    def of(cls, case: Case, zygote: Zygote, url: str, folder: Path) -> Outset:
        """Makes the state that the command is run in, and runs it in a copy."""
        folder.mkdir()
        stage = Stage(zygote, case.layout, url, folder)
        words = case.words(stage)
        with stage.copy() as undisturbed:
            began = time.monotonic()
            undisturbed.run(*words)
            seconds = time.monotonic() - began
            return cls(case, stage, words, seconds, case.left(undisturbed))

    def run(self, copy: Stage, kill_after_seconds: float | None = None, *, also: Collection[int] = ()) -> Completed:
        """Runs the command in a copy, to its end or its death; it may end with one of `also`, too."""
        return copy.run(*self.words, also={self.case.again, *also}, kill_after_seconds=kill_after_seconds)

    def check(self, copy: Stage, disturbed_by: object) -> None:
        """That the copy is what an undisturbed run leaves, and no run unfinished."""
        assert self.case.left(copy) == self.expected, disturbed_by
        assert copy.unfinished() == 0, disturbed_by


def migrate(stage: Stage) -> tuple[str, ...]:
    """Expands a legacy schema."""
    make_legacy(stage.url, stage.layout)
    return ("migrate", "up", *_CONFIRM)


def import_(stage: Stage) -> tuple[str, ...]:
    """Imports a file among whose messages are repeats."""
    make_tables(stage.url)
    write_lines(stage.folder / "m.jsonl", [message(number % 500) for number in range(600)])
    return ("import", "FOLDER/m.jsonl", "--batch-size", "40")


def regroup(stage: Stage) -> tuple[str, ...]:
    """Regroups by pauses."""
    flat = Mentored(stage.url)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    flat.fill(
        Message(f"id{n:03d}", f"u{n % 7}", f"m{n % 3}", start + timedelta(minutes=n * 17 % 400)) for n in range(90)
    )
    flat.close()
    return ("regroup", "run", "--gap", "1h", "--batch-size", "5")


def undo(stage: Stage) -> tuple[str, ...]:
    """Undoes a regrouping with pauses."""
    regroup(stage)
    stage.run("regroup", "run", "--gap", "1h")
    return ("regroup", "undo", "--batch-size", "5", *_CONFIRM)


def purge(stage: Stage) -> tuple[str, ...]:
    """Purges with archives in files."""
    made = bed(stage.url, "worker", stage.folder)
    for number in range(12):
        # Half a day from the thirtieth, so that a clock that is some hours off changes nothing.
        made.add(f"c{number}", datetime.now(UTC) - (24.5 + number) * DAY)
    made.close()
    return ("purge", "run", "--batch-size", "2", *_CONFIRM)


def backup(stage: Stage) -> tuple[str, ...]:
    """Takes a second backup."""
    make_legacy(stage.url, stage.layout)
    stage.run("migrate", "--yes")
    stage.run("backup", "create")
    return ("backup", "create")


def restore(stage: Stage) -> tuple[str, ...]:
    """Restores what was before a migration."""
    make_legacy(stage.url, stage.layout)
    taken = stage.data("backup", "create")["id"]
    stage.run("migrate", "--yes")
    return ("backup", "restore", taken, "--no-safety-backup", *_CONFIRM)


def rollback(stage: Stage) -> tuple[str, ...]:
    """Goes back from a migration and a regrouping."""
    make_legacy(stage.url, stage.layout)
    stage.run("migrate", "--yes")
    stage.run("regroup", "run")
    return ("rollback", "run", *_CONFIRM)


CASES = [
    Case("mentor", migrate, rows_and_schema),
    Case("mentor", import_, rows_and_schema),
    Case("mentor", regroup, rows_and_schema),
    Case("mentor", undo, rows_and_schema, again=_NOT_FOUND),
    Case("worker", purge, rows_and_archives),
    Case("mentor", backup, whole_backups),
    Case("mentor", restore, rows_and_schema),
    Case("mentor", rollback, rows_and_schema),
]
