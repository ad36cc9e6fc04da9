"""The command line as its users run it: a process of its own, with a clean environment."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import ValidationError
from tests.support import schemas

TIMEOUT_SECONDS = 120.0

#: What a command may see of the environment that runs the tests.
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SYSTEMROOT")


def clean_environment(home: Path) -> dict[str, str]:
    """An environment whose home and XDG folders are under `home` and that holds no setting of chatctl."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    folders = {
        "HOME": home / "home",
        "XDG_CONFIG_HOME": home / "home/.config",
        "XDG_DATA_HOME": home / "home/.local/share",
        "XDG_STATE_HOME": home / "home/.local/state",
        "XDG_CACHE_HOME": home / "home/.cache",
    }
    folders["HOME"].mkdir(parents=True, exist_ok=True)
    return kept | {name: str(path) for name, path in folders.items()} | {"COLUMNS": "120"}


@dataclass(frozen=True)
class Completed:
    """What a finished command left: its exit code and both streams as text."""

    arguments: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """stdout as JSON, checked against its command's schema; a failure shows both streams."""
        try:
            answer = json.loads(self.stdout)
            schemas.check_known(answer)
        except json.JSONDecodeError as problem:
            raise AssertionError(f"stdout is not JSON ({problem}).\n{self}") from None
        except ValidationError as problem:
            raise AssertionError(
                f"stdout breaks its schema ({problem.json_path}: {problem.message}).\n{self}"
            ) from None
        return answer

    def __str__(self) -> str:
        return (
            f"chatctl {' '.join(self.arguments)} → {self.exit_code}\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )


def run_in_process(arguments: Sequence[str], stdin: str | bytes = b"") -> Completed:
    """Runs one command in this process, its three streams replaced. The environment is the caller's business."""
    from chatctl.cli.app import main

    given = stdin.encode() if isinstance(stdin, str) else stdin
    streams = (sys.stdin, sys.stdout, sys.stderr)
    written = [io.BytesIO(), io.BytesIO()]
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    sys.stdout, sys.stderr = (io.TextIOWrapper(target, encoding="utf-8") for target in written)
    try:
        exit_code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        stdout, stderr = (target.getvalue().decode() for target in written)
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
    return Completed(tuple(arguments), exit_code, stdout, stderr)


class Cli:
    """Runs `python -m chatctl` in `folder`. `environment` may be changed for every later command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = clean_environment(folder)

    def __call__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str | bytes | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Completed:
        """Runs one command to its end; `env` adds variables; without `stdin` the input is empty."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        process = self.start(*arguments, env=env, stdin=subprocess.PIPE if given else subprocess.DEVNULL)
        with process:
            try:
                stdout, stderr = process.communicate(given, timeout_seconds)
            except BaseException:
                process.kill()
                raise
        texts = tuple(str(argument) for argument in arguments)
        return Completed(texts, process.returncode, stdout.decode(), stderr.decode())

    def start(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Starts one command and returns its handle, for tests that signal or kill it."""
        return subprocess.Popen(
            [sys.executable, "-m", "chatctl", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
