"""Runs chatctl in forks of one process that has imported everything: a process of its own, without the start-up.

What is killed in a fork dies as the real program would: its connections are cut by the kernel, nothing is flushed.
`python -m tests.support.zygote` is the other end of `Zygote`: a JSON line in, a JSON line out, for each command.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.cli import Completed, clean_environment

_PRELOADED = (
    "alembic.autogenerate",
    "chatctl.cli.app",
    "chatctl.cli.backup",
    "chatctl.cli.import_",
    "chatctl.cli.migrate",
    "chatctl.cli.regroup",
    "chatctl.cli.rollback",
    "chatctl.services.migrate.applying",
    "chatctl.services.migrate.reporting",
    "chatctl.services.regroup.undoing",
    "chatctl.services.transfer.importing",
    "chatctl.stores.sql.ddl",
    "chatctl.stores.sql.dialects.mariadb",
    "chatctl.stores.sql.dialects.sqlite",
    "chatctl.wiring",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


class Zygote:
    """Starts commands one after the other in `folder`, with `more` in the environment of all; a context manager."""

    def __init__(self, folder: Path, more: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(folder) | {"PYTHONPATH": str(Path(__file__).parents[2])} | dict(more or {}),
            cwd=folder,
        )

    def __call__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        kill_after_seconds: float | None = None,
        sabotage: str | None = None,
        strace: Sequence[str] = (),
    ) -> Completed:
        """Runs one command to its end, or to SIGKILL after `kill_after_seconds`.

        `sabotage` names a function of `tests.support.sabotage` that is called in the fork first; with `strace`, its
        options, the command and what it starts are traced. A killed command's exit code is 137.
        """
        job = {"argv": arguments, "env": dict(env or {}), "sabotage": sabotage, "strace": strace}
        return self._send([{**job, "kill_after_seconds": kill_after_seconds}])[0]

    def at_once(self, copies: int, *arguments: str, env: Mapping[str, str] | None = None) -> list[Completed]:
        """Runs the same command `copies` times, all of them started at the same moment."""
        job = {"argv": arguments, "env": dict(env or {}), "sabotage": None, "kill_after_seconds": None}
        return self._send([job] * copies)

    def together(
        self, commands: Sequence[tuple[Sequence[str], float | None]], env: Mapping[str, str] | None = None
    ) -> list[Completed]:
        """Runs commands side by side, each to its end or to SIGKILL after its own seconds."""
        own = {"env": dict(env or {}), "sabotage": None}
        return self._send([{**own, "argv": words, "kill_after_seconds": seconds} for words, seconds in commands])

    def _send(self, jobs: list[dict[str, Any]]) -> list[Completed]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(jobs).encode() + b"\n")
        self._process.stdin.flush()
        answers = json.loads(self._process.stdout.readline())
        return [
            Completed(tuple(job["argv"]), answer["exit_code"], answer["stdout"], answer["stderr"])
            for job, answer in zip(jobs, answers, strict=True)
        ]

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main() -> None:
    """Serves jobs until stdin ends."""
    for name in _PRELOADED:
        importlib.import_module(name)
    if importlib.util.find_spec("psycopg"):
        importlib.import_module("chatctl.stores.sql.dialects.postgresql")
        importlib.import_module("sqlalchemy.dialects.postgresql.psycopg")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        reader, writer = os.pipe()
        started = [Started(job, reader, writer) for job in json.loads(line)]
        # Each of them waits for the end of this pipe.
        os.close(writer)
        os.close(reader)
        answers.write(json.dumps([child.wait() for child in started]) + "\n")
        answers.flush()


class Started:
    """A fork that runs one job as soon as the gate opens: when nobody holds the pipe's other end any more."""

    def __init__(self, job: Mapping[str, Any], gate: int, other_end: int) -> None:
        self._stdout, self._stderr = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115  # closed by wait()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(other_end)
            os.read(gate, 1)
            os.dup2(self._stdout.fileno(), 1)
            os.dup2(self._stderr.fileno(), 2)
            os.environ.update(job["env"])
            _exit_with(_command(job["argv"], job["sabotage"]))
        self._tracer = _traced(self._pid, job["strace"]) if job.get("strace") else None
        self._killer = threading.Timer(job["kill_after_seconds"] or 0, os.kill, (self._pid, signal.SIGKILL))
        if job["kill_after_seconds"] is not None:
            self._killer.start()

    def wait(self) -> dict[str, Any]:
        """What came of it, once it has ended."""
        _, status = os.waitpid(self._pid, 0)
        self._killer.cancel()
        if self._tracer is not None:
            self._tracer.wait()
        code = os.waitstatus_to_exitcode(status)
        with self._stdout, self._stderr:
            return {
                "exit_code": 128 - code if code < 0 else code,
                "stdout": _content(self._stdout),
                "stderr": _content(self._stderr),
            }


def _traced(process_id: int, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """strace, once it is attached to the process."""
    tracer = subprocess.Popen(["strace", *options, "-p", str(process_id)], stderr=subprocess.DEVNULL)
    while "TracerPid:\t0\n" in Path(f"/proc/{process_id}/status").read_text():
        assert tracer.poll() is None, "strace can't be attached"
        time.sleep(0.001)
    return tracer


def _command(arguments: Sequence[str], sabotage: str | None) -> int:
    from chatctl.cli.app import main as chatctl

    if sabotage:
        getattr(importlib.import_module("tests.support.sabotage"), sabotage)()
    return chatctl(arguments)


def _exit_with(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _content(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode()
    return text


if __name__ == "__main__":
    main()
