"""What changes something is killed at instants that nobody chose, up to three times, and finished by the same command.

Each command on a database made for it, on each engine. What they leave is what an undisturbed run leaves, and no run is
unfinished. Regroupings, and whole migrations of others' projects, have tests of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.faults import KILLED, LONG, SOAK, Faults
from tests.support.stages import CASES, Case, Outset
from tests.support.zygote import Zygote

#: How many kills have to hit each command on each engine.
HITS = 60 if SOAK else 2
ENGINES = ["sqlite"] if not SOAK else ["sqlite", "mariadb", "postgresql"]

pytestmark = [*LONG, pytest.mark.parametrize("engine_name", ENGINES, indirect=True)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words.__name__.rstrip("_"))
def test_what_is_killed_at_any_instant_is_finished_by_the_same_command(
    case: Case, zygote: Zygote, engine_url: str, tmp_path: Path, faults: Faults
) -> None:
    outset = Outset.of(case, zygote, engine_url, tmp_path / "files")
    seconds = outset.seconds
    hits = missed = 0
    while hits < HITS:
        with outset.stage.copy() as copy:
            for _ in range(faults.chance.randint(1, 3)):
                after = faults.chance.uniform(0.02, 1) * seconds
                if outset.run(copy, after).exit_code != KILLED:
                    # It takes less long than it did when it was measured.
                    seconds, missed = seconds * 0.9, missed + 1
                    break
                hits += 1
            outset.run(copy)
            outset.check(copy, f"{hits} kills")
        # The control: kills that all come too late would prove nothing.
        assert missed < 10 * HITS
    faults.count("kills at random", hits)
