"""`.env.backup` back in the place of `.env`. Values are never shown, only the names that change."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from chatctl.errors import RefusedError

ENV, KEPT, REPLACED = ".env", ".env.backup", ".env.before-rollback"
_MODE = 0o600
_ENTRY = re.compile(rb"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$", re.MULTILINE)


def changes(folder: Path) -> list[str] | None:
    """The names whose values `.env.backup` would change, add or take away; None where there is nothing to do."""
    kept, now = _read(folder / KEPT), _read(folder / ENV)
    if kept is None or kept == now:
        return None
    old, new = (dict(_ENTRY.findall(text or b"")) for text in (now, kept))
    return sorted(name.decode() for name in {*old, *new} if old.get(name) != new.get(name))


def is_back(folder: Path) -> bool:
    """Whether `.env` is what `.env.backup` says, or nothing was kept."""
    kept = _read(folder / KEPT)
    return kept is None or kept == _read(folder / ENV)


def bring_back(folder: Path) -> None:
    """Puts the kept file in place, whole; what stood there is kept beside it. Safe to repeat."""
    kept, now = _read(folder / KEPT), _read(folder / ENV)
    if kept is None or kept == now:
        return
    if now is not None:
        _write(folder / REPLACED, now)
    _write(folder / ENV, kept)


def keep(folder: Path) -> bool:
    """Copies `.env` to `.env.backup`, unless one was kept before; whether it did."""
    now = _read(folder / ENV)
    if now is None or (folder / KEPT).exists():
        return False
    _write(folder / KEPT, now)
    return True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise RefusedError(f"{path.name} can't be read: {problem.strerror}.") from problem


def _write(path: Path, data: bytes) -> None:
    """The file appears whole and for this account alone, or what stood there stays."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), _MODE)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        finally:
            with suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
    except OSError as problem:
        raise RefusedError(f"{path.name} can't be written: {problem.strerror}.") from problem
