"""One command as a process of its own: how long it takes, and what it has resident at its highest."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Measured:
    """What a command took: seconds from its start to its end, and the most MiB that it had resident itself."""

    seconds: float
    resident_mib: float


def measured(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    good: Collection[int] = (0,),
    stderr: IO[str] | None = None,
    each_minute: Callable[[float], None] | None = None,
) -> Measured:
    """Runs `command` with the variables of `environment` on top of this process's own, its output thrown away.

    What it says on stderr goes to `stderr`, or where this process's own goes; `each_minute` is told the MiB that it has
    resident. Raises CalledProcessError where its exit code isn't among the `good` ones.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr
    )
    resident, minutes = 0.0, 1
    while process.poll() is None:
        resident = max(resident, _mib(process.pid, "VmHWM"))
        if each_minute is not None and time.perf_counter() - started > minutes * 60:
            each_minute(_mib(process.pid, "VmRSS"))
            minutes += 1
        time.sleep(_LOOK_SECONDS)
    if process.returncode not in good:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Measured(time.perf_counter() - started, resident)


def _mib(pid: int, figure: str) -> float:
    # What wait4() says counts the memory of the process that forked, too: a benchmark's own rows.
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1]) / 1024 for words in lines if words[0] == f"{figure}:"), 0.0)
