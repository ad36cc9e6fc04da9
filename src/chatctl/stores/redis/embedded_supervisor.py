"""Runs the embedded redis-server for as long as a chatctl process uses it; started by `embedded`, run by path.

Every chatctl process that uses the server holds a shared lock on the lease file. This one waits for the exclusive
lock, which the kernel gives when the last of them has ended in whatever way, and then stops the server. Should this
process be killed, the kernel ends the server too. Standard library only, and nothing of chatctl: it starts often.
"""

from __future__ import annotations

import ctypes
import fcntl
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

RUNNING_LOCK = "supervisor.lock"
LEASE_FILE = "lease"
LOG_FILE = "redis.log"

_PR_SET_PDEATHSIG = 1


def main(folder: Path, command: list[str]) -> int:
    """Runs `command` in `folder` until nobody holds the lease; 0, or the server's exit code."""
    with (folder / RUNNING_LOCK).open("a") as running, (folder / LEASE_FILE).open("a") as lease:
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, _leave)
        with (folder / LOG_FILE).open("ab") as log:
            server = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_end_with_parent
            )
        try:
            fcntl.flock(lease, fcntl.LOCK_EX)
        except SystemExit:
            pass
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # redis-server takes SIGTERM as SHUTDOWN: it syncs its append-only file and leaves.
            server.terminate()
            server.wait()
        return server.returncode


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
