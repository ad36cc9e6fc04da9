"""Names for what no service foresaw: the operating system's refusals, and everything else."""

from __future__ import annotations

import errno

from chatctl.errors import ChatctlError, DiskFullError, NoPrivilegeError, ReadOnlyError, UnexpectedError

_REFUSALS: dict[int, tuple[type[ChatctlError], str]] = {
    errno.ENOSPC: (DiskFullError, "no space is left"),
    errno.EDQUOT: (DiskFullError, "the quota is used up"),
    errno.EROFS: (ReadOnlyError, "the file system is read-only"),
    errno.EACCES: (NoPrivilegeError, "permission denied"),
    errno.EPERM: (NoPrivilegeError, "the operation is not permitted"),
}


def named(error: Exception) -> ChatctlError:
    """The error to show for `error`, which is its cause."""
    shown = _refusal(error) if isinstance(error, OSError) else None
    shown = shown or UnexpectedError(_first_line(error))
    shown.__cause__ = error
    return shown


def _refusal(error: OSError) -> ChatctlError | None:
    if error.errno not in _REFUSALS:
        return None
    kind, what = _REFUSALS[error.errno]
    return kind(f"{error.filename}: {what}." if error.filename else f"{what[:1].upper()}{what[1:]}.")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
