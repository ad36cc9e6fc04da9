"""Files that a command writes for somebody: written whole or not at all, never half."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from chatctl.errors import ChatctlError, DiskFullError, UsageError

PRIVATE = 0o600


def write_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """Writes `text` (UTF-8, line ends as they are) to `path` in one step, with the permissions `mode`.

    Raises UsageError where the folder can't be written, DiskFullError where no space is left.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(mode if mode is not None else _usual_mode(path))
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise _cannot_write(path, problem) from problem


def _usual_mode(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def _cannot_write(path: Path, problem: OSError) -> ChatctlError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"{path} can't be written: no space is left.")
    return UsageError(f"{path} can't be written: {problem.strerror}.")
