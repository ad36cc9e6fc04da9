"""Where the tests may write without waiting for a disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
#: What a run with a few workers, each with its own servers, needs at most.
_NEEDED_BYTES = 6 * 2**30


def folder_in_memory() -> str | None:
    """A folder on a file system in memory, None where the machine has none or too little of it."""
    if not os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        return None
    if os.statvfs(_SHARED_MEMORY).f_flag & os.ST_NOEXEC:
        return None  # some tests install a program and run it
    if min(shutil.disk_usage(_SHARED_MEMORY).free, _available_bytes()) < _NEEDED_BYTES:
        return None
    return str(_SHARED_MEMORY)


def _available_bytes() -> int:
    """The memory that nobody uses: the size of such a file system may promise more."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
