"""Saved plans: one JSON file, written whole or not at all, read back with its command and its checksum checked.

What a plan says is read by name when it is applied: one that isn't as chatctl saved it is refused before that.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatctl.errors import ChatctlError, DiskFullError, NotFoundError, UsageError

FORMAT = 1


def save_plan(path: Path, command: str, data: Mapping[str, Any]) -> None:
    """Writes the plan that `command` will apply. Raises UsageError where the folder can't be written."""
    content = {"chatctl_plan": FORMAT, "command": command, "sha256": _checksum(command, data), "data": data}
    text = json.dumps(content, ensure_ascii=False, indent=2)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as problem:
        raise _cannot_write(path, problem) from problem


def load_plan(path: Path, command: str) -> dict[str, Any]:
    """The data of the plan at `path`; raises where it isn't there, isn't a plan, or is for another command."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"There is no plan at {path}.") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise UsageError(f"{path} isn't a plan that chatctl saved: {problem}") from problem
    if not isinstance(content, dict) or content.get("chatctl_plan") != FORMAT:
        raise UsageError(f"{path} isn't a plan that this chatctl can read.")
    if content.get("command") != command:
        raise UsageError(
            f"{path} is a plan for 'chatctl {content.get('command')}'.", hint=f"This is 'chatctl {command}'."
        )
    if content.get("sha256") != _checksum(command, content.get("data")):
        raise UsageError(f"{path} isn't as chatctl saved it.", hint="Make the plan anew instead of changing it.")
    data: dict[str, Any] = content["data"]
    return data


def _checksum(command: str, data: Any) -> str:
    # As it is read back: JSON makes texts of keys that are numbers.
    plain = json.loads(json.dumps(data))
    return hashlib.sha256(json.dumps([command, plain], sort_keys=True).encode()).hexdigest()


def _cannot_write(path: Path, problem: OSError) -> ChatctlError:
    import errno

    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"The plan can't be written to {path}: no space is left.")
    return UsageError(f"The plan can't be written to {path}: {problem.strerror}.")
