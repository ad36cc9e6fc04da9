"""Compares two `.env` files by name and meaning; values that are secret are only said to differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chatctl.domain.result import Result
from chatctl.services.environment import envfile
from chatctl.services.environment.catalogue import Variable, catalogue
from chatctl.services.environment.envfile import EnvFile

_HIDDEN = "***"


def diff(old: Path, new: Path) -> Result:
    """What the file `new` has that `old` hasn't, and the other way about. Raises InputFileError."""
    before, after = envfile.read(old), envfile.read(new)
    changes = [_change(key, before, after) for key in dict.fromkeys([*before.values, *after.values])]
    known = catalogue()
    data: dict[str, Any] = {
        "old": {"file": before.name, "version": known.version_of(before.values), "variables": len(before.values)},
        "new": {"file": after.name, "version": known.version_of(after.values), "variables": len(after.values)},
        "changes": [change for change in changes if change is not None],
        "same": sum(change is None for change in changes),
    }
    return Result(data)


def _change(key: str, before: EnvFile, after: EnvFile) -> dict[str, Any] | None:
    old, new = before.values.get(key), after.values.get(key)
    if old == new:
        return None
    kind = "added" if old is None else "removed" if new is None else "changed"
    variable = catalogue().keys.get(key)
    return {
        "key": key,
        "change": kind,
        "old": _shown(variable, old),
        "new": _shown(variable, new),
        "since": variable.since if variable else None,
        "meaning": variable.doc if variable else None,
    }


def _shown(variable: Variable | None, value: str | None) -> str | None:
    # Nobody knows whether a variable that no guide names is a secret.
    hidden = variable is None or variable.hidden
    return _HIDDEN if value and hidden else value
