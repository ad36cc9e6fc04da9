"""An import that is killed again and again is finished by the same command, as if nothing had happened.

Rows, counts and the reject file are those of an import that nobody disturbed: nothing is lost, doubled or told twice.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.cli import Completed
from tests.support.faults import KILLED, Faults
from tests.support.transfers import fingerprint, make_tables, message, rows_of, write_lines
from tests.support.zygote import Zygote

MOMENTS = ("import.rows-loaded", "import.rejects-written", "batch.before-commit", "batch.after-commit")
RECORDS = 5_000
BATCH = 200


@dataclass(frozen=True)
class Outcome:
    """What an import leaves."""

    rows: tuple[int, str]
    counts: dict[str, int]
    rejects: str


@dataclass
class Importer:
    """Imports one file into the database of `url`; `folder` is where the reject file goes."""

    zygote: Zygote
    url: str
    file: Path
    folder: Path
    batch: int = BATCH
    last: Completed = field(init=False)

    def run(self, *, fail_point: str = "", sabotage: str | None = None, kill_after_seconds: float | None = None) -> int:
        """Runs the command to its end or its death; its exit code."""
        self.last = self.zygote(
            "import", str(self.file), "--batch-size", str(self.batch), "--rejects", str(self.rejects), "-o", "json",
            env={"CHATCTL_DATABASE": self.url, "CHATCTL_LAYOUT": "mentor", "CHATCTL_FAIL_POINT": fail_point},
            sabotage=sabotage,
            kill_after_seconds=kill_after_seconds,
        )  # fmt: skip
        return self.last.exit_code

    @property
    def rejects(self) -> Path:
        """The reject file."""
        return self.folder / f"{self.url.rpartition('/')[2]}.rejects.jsonl"

    def outcome(self) -> Outcome:
        """What is there after the last command, which must have come to its end."""
        assert self.last.exit_code in (0, 3), self.last
        # A kill may come between a run's end and its process's, and the next command begins a new run.
        ((totals,), *_) = rows_of(self.url, "SELECT totals FROM chatctl_runs WHERE kind = 'import' ORDER BY started_ms")
        data = json.loads(totals)
        counts = {name: data[name] for name in ("rows_read", "imported", "repeated", "rejected")}
        return Outcome(
            fingerprint(self.url), counts, self.rejects.read_text(encoding="utf-8") if data["rejected"] else ""
        )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Messages among which are repeats, next to each other and far apart, and lines that don't fit."""
    records: list[dict[str, object] | str] = [message(number) for number in range(RECORDS)]
    for place in range(97, RECORDS, 331):
        records[place] = message(place // 2)
    for place in range(111, RECORDS, 173):
        records[place] = f"line {place} is no JSON"
    return write_lines(tmp_path / "m.jsonl", records)


@pytest.fixture
def importer(engine_url: str, zygote: Zygote, file: Path, tmp_path: Path) -> Importer:
    """Imports into a fresh database on each engine in turn."""
    make_tables(engine_url)
    return Importer(zygote, engine_url, file, tmp_path)


@pytest.fixture
def undisturbed(zygote: Zygote, file: Path, tmp_path: Path) -> Outcome:
    """What an import leaves that nobody disturbs, on SQLite: the same as on every engine."""
    url = f"sqlite:///{tmp_path / 'undisturbed.db'}"
    make_tables(url)
    importer = Importer(zygote, url, file, tmp_path)
    importer.run()
    return importer.outcome()


def test_twenty_kills_on_the_way_change_nothing(importer: Importer, undisturbed: Outcome, faults: Faults) -> None:
    assert _killed_twenty_times(importer, faults) == undisturbed


def test_the_sample_killed_twenty_times_on_the_way_is_whole(
    engine_url: str, zygote: Zygote, sample: Path, tmp_path: Path, faults: Faults
) -> None:
    make_tables(engine_url)
    reference = Importer(zygote, f"sqlite:///{tmp_path / 'undisturbed.db'}", sample, tmp_path, batch=2_000)
    make_tables(reference.url)
    reference.run()
    undisturbed = reference.outcome()

    assert undisturbed.counts == {"rows_read": 48_131, "imported": 48_126, "repeated": 5, "rejected": 0}
    assert _killed_twenty_times(Importer(zygote, engine_url, sample, tmp_path, batch=2_000), faults) == undisturbed


def _killed_twenty_times(importer: Importer, faults: Faults) -> Outcome:
    # The first moment of a try is the one that the last kill may have left something at.
    for kill, moment in zip(range(20), itertools.cycle(MOMENTS), strict=False):
        place = 1 + kill % 3 // 2
        assert importer.run(fail_point=f"{moment}:{place}") == KILLED, f"{moment}:{place}\n{importer.last}"
        faults.count("kills at a named moment")
    importer.run()
    assert importer.last.json["data"]["resumed"] is True
    return importer.outcome()


def test_kills_at_random_instants_change_nothing(importer: Importer, undisturbed: Outcome, faults: Faults) -> None:
    killed = 0
    for _ in range(15):
        code = importer.run(kill_after_seconds=faults.chance.uniform(0.05, 0.6))
        assert code in (KILLED, 3), importer.last
        if code == 3:
            break
        killed += 1
    else:
        importer.run()

    faults.count("kills at random", killed)
    assert importer.outcome() == undisturbed


@pytest.mark.parametrize("moment", MOMENTS[:2])
def test_without_the_one_transaction_a_kill_would_show(importer: Importer, undisturbed: Outcome, moment: str) -> None:
    assert importer.run(fail_point=f"{moment}:3", sabotage="rows_apart_from_journal") == KILLED
    importer.run()

    assert importer.outcome() != undisturbed
