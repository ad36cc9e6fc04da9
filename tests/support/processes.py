"""A server of the tests' own: started in a folder that is thrown away, stopped by the handle that started it.

What differs between MariaDB, PostgreSQL and Redis lives in the module named after each.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Self

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
PORT_ATTEMPTS = 3

# The kernel sends the parent-death signal when the *thread* that forked ends, so one thread that lasts as long
# as the tests starts every server: a killed test run leaves none behind.
_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-launcher")


class ServerUnavailableError(Exception):
    """The machine lacks what the server needs, or the server did not start."""


class Server(ABC):
    """One running server; a context manager that stops it and removes its folder.

    `settings` are the server's own configuration names and values, over the defaults of the subclass; `environment`
    holds variables that it is started with.
    """

    #: What messages call the server.
    title: ClassVar[str]
    #: The signal that asks the server to stop without waiting for its clients.
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    #: Accounts to run as when the tests run as root; empty where the server may run as root.
    accounts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: dict[str, str] | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.settings = settings or {}
        self.environment = environment or {}
        self.account = _first_account(self.accounts) if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="chatctl-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        self.log = self.folder / "server.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._own(self.folder, self.data)
        try:
            self._prepare()
            self._start_on_free_port()
        except BaseException:
            self.close()
            raise

    # --- what a subclass says -------------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self) -> None:
        """Makes the data folder."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line that runs the server in the foreground on `self.port`."""

    @abstractmethod
    def _probe(self) -> None:
        """Returns once the server answers; raises anything while it doesn't."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL that reaches the server with every privilege."""

    # --- life and death -------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process ID of the running server."""
        return self._running().pid

    def start(self) -> None:
        """Starts the server on the port it had; returns when it answers."""
        if self._process is not None:
            raise RuntimeError(f"{self.title} is running.")
        self._process = self._spawn(self._command())
        self._wait_until_ready()

    def stop(self) -> None:
        """Stops the server in order; does nothing where it isn't running."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """Kills the server with SIGKILL, as a crash would."""
        self._running()
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stops the server if it runs, and starts it again on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freezes the server: connections stay open and get no answer."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        # Its threads are stopped one after the other, and one of them might still answer.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Lets a paused server go on."""
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stops the server and removes its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- how ------------------------------------------------------------------------------------------------

    def _start_on_free_port(self) -> None:
        """Another process can take a free port before the server binds it; then another one is tried."""
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self.port = free_port()
            try:
                return self.start()
            except ServerUnavailableError:
                if attempt == PORT_ATTEMPTS or "in use" not in self._log_tail().lower():
                    raise

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.title} isn't running.")
        return self._process

    def _end(self, sent: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(sent)
        # A paused process takes no signal but SIGKILL until it goes on.
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                return self._probe()
            except Exception as problem:
                ended = self._running().poll()
                if ended is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                self._end(signal.SIGKILL)
                what = f"ended with {ended}" if ended is not None else f"gave no answer ({problem})"
                raise ServerUnavailableError(f"{self.title} {what}:\n{self._log_tail()}") from problem

    def _run(self, command: Sequence[str | Path]) -> None:
        """Runs a preparing command as the server's account; raises ServerUnavailableError with its output."""
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            **self._identity(),
        )
        if done.returncode:
            output = done.stdout.decode(errors="replace")[-2000:]
            raise ServerUnavailableError(f"{command[0]} failed with {done.returncode}:\n{output}")

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        setpriv = shutil.which("setpriv")
        if setpriv:
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with self.log.open("ab") as log:

            def launch() -> subprocess.Popen[bytes]:
                return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._identity())

            return _LAUNCHER.submit(launch).result()

    def _identity(self) -> dict[str, Any]:
        """Popen's arguments for the account, the folder and a plain environment."""
        arguments: dict[str, Any] = {
            "cwd": self.folder,
            "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **self.environment},
            # Ctrl-C belongs to pytest; the server is stopped by its handle afterwards.
            "start_new_session": True,
        }
        if self.account:
            arguments |= {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        return arguments

    def _own(self, *paths: Path) -> None:
        if self.account:
            for path in paths:
                os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-2000:]
        return "(no log)"


def free_port() -> int:
    """A TCP port on the loopback address that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_program(name: str, *folders: str) -> str:
    """The path of the program; raises ServerUnavailableError where neither PATH nor `folders` has it."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", *folders])
    found = shutil.which(name, path=search)
    if found is None:
        raise ServerUnavailableError(f"{name} isn't installed")
    return found


def _first_account(names: Sequence[str]) -> pwd.struct_passwd | None:
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None
