"""Runs the engines' own tools: found on this machine, given passwords by file, never believed when they fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from chatctl import errors

#: What a tool may see of our environment: no setting and no secret of ours, nor one that would lead it elsewhere.
_KEPT = ("PATH", "HOME", "TMPDIR", "SYSTEMROOT")
_STDERR_LINES = 12

_KINDS: tuple[tuple[str, type[errors.ChatctlError]], ...] = (
    (r"No space left on device|Disk quota exceeded|errno: 28|Got errno 28|disk full", errors.DiskFullError),
    (r"server version mismatch|Unknown table 'column_statistics'", errors.MissingToolError),
    (r"permission denied for|command denied|Access denied; you need|must be owner", errors.NoPrivilegeError),
    (r"Access denied for user|password authentication failed|no password supplied", errors.AccessDeniedError),
    (
        r"Can't connect|Connection refused|could not translate host|Unknown server host|the database system is ",
        errors.CannotConnectError,
    ),
    (
        r"Lost connection|has gone away|Connection was killed|server closed the connection|terminating connection"
        r"|no connection to the server",
        errors.ConnectionLostError,
    ),
    (r"read-only transaction|--read-only option", errors.ReadOnlyError),
)


def find_tool(*names: str, needed_for: str, folders: Sequence[Path] = ()) -> str:
    """The path of the first of `names` that is there, in `folders` before PATH; raises MissingToolError."""
    for folder in folders:
        for name in names:
            if os.access(folder / name, os.X_OK):
                return str(folder / name)
    for name in names:
        if found := shutil.which(name):
            return found
    raise errors.MissingToolError(
        f"{needed_for} needs {' or '.join(names)}, which isn't on PATH.", hint="Install the engine's client programs."
    )


@cache
def version_of(tool: str) -> str:
    """What the tool says to --version, without its path."""
    answer = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False, env=environment())
    return f"{Path(tool).name} {answer.stdout.strip().removeprefix(tool).strip()}".strip()[:200]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a tool: messages in English, times in UTC."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(extra or {})}


@contextmanager
def secret_folder() -> Iterator[Path]:
    """A folder that nobody else may look into, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="chatctl-") as folder:
        yield Path(folder)


def write_secret(path: Path, text: str) -> Path:
    """Writes `text` so that only this account can read it, whatever the umask."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


@contextmanager
def running(
    arguments: Sequence[str],
    extra: Mapping[str, str] | None = None,
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    server_error: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """The tool while the block runs. At its end it must have ended well: else its stderr is raised as an error.

    An error in the block ends the tool at once; where both fail, the tool's own words are raised. `server_error` is how
    the tool ends for an error of the server's, for which it may have no words where the server is gone.
    """
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            arguments, stdin=stdin, stdout=stdout, stderr=stderr, env=environment(extra), umask=0o077
        )
        try:
            yield process
            if process.stdin is not None:
                process.stdin.close()
            process.wait()
        except BrokenPipeError as problem:
            # The tool stopped reading: what it said before it ended is the reason.
            process.wait()
            raise _failure(arguments[0], process.returncode, stderr, server_error) from problem
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close(pipe)
        if process.returncode != 0:
            raise _failure(arguments[0], process.returncode, stderr, server_error)


def _close(pipe: IO[bytes]) -> None:
    # What it still buffered was for a tool that has ended, and whose exit code tells.
    with suppress(BrokenPipeError):
        pipe.close()


def _failure(tool: str, code: int | None, stderr: IO[bytes], server_error: int | None) -> errors.ChatctlError:
    stderr.seek(0)
    lines = [line for line in stderr.read().decode(errors="replace").strip().splitlines() if line.strip()]
    said = "\n".join(lines[-_STDERR_LINES:]) or "it said nothing."
    kind = next((kind for pattern, kind in _KINDS if re.search(pattern, said)), errors.DatabaseError)
    if not lines and code == server_error:
        kind = errors.ConnectionLostError
    return kind(f"{Path(tool).name} ended with {code}: {said}")
