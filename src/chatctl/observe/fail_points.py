"""Named moments at which the fault tests end the process, as a kill from outside would."""

from __future__ import annotations

import os
from pathlib import Path

#: `name`, or `name:N` for the Nth time that the moment comes.
VARIABLE = "CHATCTL_FAIL_POINT"
#: A file that gets a line for every moment that comes.
TRACE_VARIABLE = "CHATCTL_FAIL_POINT_TRACE"

_passed: dict[str, int] = {}


def fail_point(name: str) -> None:
    """Ends the process at once, nothing flushed or closed, where the variable names this moment."""
    trace = os.environ.get(TRACE_VARIABLE)
    if trace:
        with Path(trace).open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
    wanted = os.environ.get(VARIABLE)
    if not wanted or wanted.partition(":")[0] != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == int(wanted.partition(":")[2] or 1):
        os._exit(137)
