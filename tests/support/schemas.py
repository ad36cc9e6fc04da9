"""The JSON schemas that ship with chatctl, and a check of an answer against its own."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

_FOLDER = resources.files("chatctl") / "schemas"
_ENVELOPE = "envelope.json"


def names() -> set[str]:
    """The commands that have a schema, as their files are named: `migrate-status`."""
    files = {item.name for item in _FOLDER.iterdir() if item.name.endswith(".json")}
    return {file.removesuffix(".json") for file in files - {_ENVELOPE}}


def file_name(command: str) -> str:
    """`migrate-status` for "migrate status"."""
    return command.replace(" ", "-")


def validator(command: str | None = None) -> Draft202012Validator:
    """Checks answers of `command`, or of any command (the envelope alone)."""
    envelope = _read(_ENVELOPE)
    registry: Registry[Any] = Registry().with_resource(_ENVELOPE, Resource.from_contents(envelope))
    schema = envelope if command is None else _read(f"{file_name(command)}.json")
    return Draft202012Validator(schema, registry=registry)


def check(command: str, answer: Any) -> None:
    """Raises ValidationError unless `answer`, parsed from --output json, is what `command` promises."""
    validator(command).validate(answer)


def check_known(answer: Any) -> None:
    """Like `check`, by the command that the answer names; the envelope alone where that command ships no schema.

    What is no envelope (rows that a command writes to stdout) is left alone.
    """
    if isinstance(answer, dict) and "chatctl" in answer:
        command = str(answer.get("command"))
        validator(command if file_name(command) in names() else None).validate(answer)


def _read(name: str) -> Any:
    return json.loads((_FOLDER / name).read_text(encoding="utf-8"))
