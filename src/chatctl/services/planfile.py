"""Saved plans: one JSON file, written whole or not at all, read back with its command checked."""

from __future__ import annotations

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
    text = json.dumps({"chatctl_plan": FORMAT, "command": command, "data": data}, ensure_ascii=False, indent=2)
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
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path} isn't a plan that chatctl saved: {problem}") from problem
    if not isinstance(content, dict) or content.get("chatctl_plan") != FORMAT:
        raise UsageError(f"{path} isn't a plan that this chatctl can read.")
    if content.get("command") != command:
        raise UsageError(
            f"{path} is a plan for 'chatctl {content.get('command')}'.", hint=f"This is 'chatctl {command}'."
        )
    data: dict[str, Any] = content["data"]
    return data


def _cannot_write(path: Path, problem: OSError) -> ChatctlError:
    import errno

    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"The plan can't be written to {path}: no space is left.")
    return UsageError(f"The plan can't be written to {path}: {problem.strerror}.")
