"""A disk that is full at some moment of a command: SQLite's, with its archives, backups and data.

The command ends with exit 13, or had all the room that it needed, and once there is room the same command comes to the
end that an undisturbed one comes to.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.disks import SmallDisk, small_disk
from tests.support.faults import LONG, SOAK, Faults
from tests.support.stages import CASES, Case, Outset
from tests.support.zygote import Zygote

#: With how much room each command is tried.
ROOMS = 40 if SOAK else 4
REFUSED = 13
LEAST_BYTES = 256 * 1024

pytestmark = LONG


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words.__name__.rstrip("_"))
def test_what_a_full_disk_ends_is_finished_by_the_same_command(
    case: Case, zygote: Zygote, tmp_path: Path, faults: Faults
) -> None:
    with small_disk(tmp_path / "small", "64m") as disk:
        outset = Outset.of(case, zygote, f"sqlite:///{disk.folder / 'chat.db'}", disk.folder / "files")
        needed = needed_bytes(outset, disk)
        for but in [0, *(faults.chance.uniform(0, needed) for _ in range(ROOMS - 1))]:
            with outset.stage.copy() as copy:
                with disk.filled(int(but)):
                    done = outset.run(copy, also=[REFUSED])
                # The control: without any room nothing can be changed.
                assert but or done.exit_code == REFUSED
                outset.run(copy)
                outset.check(copy, f"{but:.0f} bytes of room")
            faults.count(f"full disks: {'ended' if done.exit_code else 'went on'}")


def needed_bytes(outset: Outset, disk: SmallDisk) -> int:
    """More room than an undisturbed run leaves taken: on its way it takes more, and a restore may leave more room."""
    with outset.stage.copy() as copy:
        before = disk.free_bytes
        outset.run(copy)
        return max(2 * (before - disk.free_bytes), LEAST_BYTES)
