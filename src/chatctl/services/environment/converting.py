"""Carries a `.env` file from 1.x to 2.0 and back, keeping comments, order and secrets.

The file as it was is kept beside it as `.env.backup`, which is never written over. Nothing here makes up a secret:
what a provider hands out stays empty, and `env check` says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chatctl.domain.result import Notice, Result
from chatctl.errors import UsageError
from chatctl.services.environment import envfile, rewriting, values
from chatctl.services.environment.catalogue import NEW, OLD, Environment, Variable, catalogue
from chatctl.services.environment.checking import environment_of
from chatctl.services.environment.rewriting import Rewritten
from chatctl.services.files import PRIVATE, write_text

Features = Literal["on", "off"]

_OLD_LABEL, _OFF_LABEL = OLD, "features off"


@dataclass(frozen=True)
class Conversion:
    """What was asked for. `given` are values for variables that hold no secret; `out` is another file to write.

    Without an `environment` it is the file's own, else production: what is safe there is safe everywhere.
    """

    to: str
    environment: Environment | None = None
    system: str | None = None
    features: Features | None = None
    given: Mapping[str, str] | None = None
    out: Path | None = None
    dry_run: bool = False


def convert(path: Path, wanted: Conversion) -> Result:
    """Converts the file at `path`. Raises InputFileError where it can't be read, UsageError for what can't be asked."""
    file = envfile.read(path)
    environment = wanted.environment or environment_of(file, "production")
    variables = catalogue().of(catalogue().chosen(wanted.system, file.values))
    _refuse_secrets(wanted.given or {})
    came_from = catalogue().version_of(file.values)
    done = [_to_new(file.text, variables, environment, wanted.given or {}) if wanted.to == NEW else _to_old(file.text)]
    if wanted.features is not None:
        done.append(_switch(done[-1].text, wanted.features, variables))
    text = done[-1].text
    target, backup = wanted.out or path, None
    if text != file.text and not wanted.dry_run:
        backup = keep(path) if wanted.out is None else None
        replace_file(target, text, path)
    after = envfile.parse(text, str(target))
    data: dict[str, Any] = {
        "file": str(target),
        "backup": str(backup) if backup else None,
        "from": came_from,
        "to": wanted.to,
        "environment": environment,
        "written": text != file.text and not wanted.dry_run,
        "changes": [change for step in done for change in _changes(step, after.values)],
        "to_be_given": _open(after, environment, variables) if wanted.to == NEW else [],
    }
    return Result(data, warnings=_left_over(after, environment))


def keep(path: Path) -> Path:
    """Copies the file to `.env.backup` beside it (`.backup` after its name), or the next free name; returns which."""
    text = path.read_bytes()
    for number in range(1, 1000):
        backup = path.with_name(f"{path.name}.backup" + (f".{number}" if number > 1 else ""))
        if backup.exists():
            if backup.read_bytes() == text:
                return backup
            continue
        descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(text)
        return backup
    raise UsageError(f"{path.name}.backup exists a thousand times.", hint="Move the old copies away.")


def replace_file(path: Path, text: str, like: Path) -> None:
    """Writes `text` to `path` in one step, readable by whoever could read `like`."""
    mode = like.stat().st_mode & 0o777 if like.exists() else PRIVATE
    write_text(path, text, mode=mode)


def _to_new(
    text: str, variables: Mapping[str, Variable], environment: Environment, given: Mapping[str, str]
) -> Rewritten:
    held = envfile.parse(text, "").values
    production = environment == "production"
    changes = dict(given)
    for key, variable in variables.items():
        if key in changes:
            continue
        if key not in held:
            due = variable.since == NEW or variable.needed_in(environment) or (production and variable.safe)
            if due and variable.new is not None:
                changes[key] = variable.new.format(environment=environment)
        elif (mended := _mended(key, variable, held[key], environment)) is not None:
            changes[key] = mended
    return rewriting.put(text, _OLD_LABEL, changes, {key: variables[key].doc for key in changes if key in variables})


def _mended(key: str, variable: Variable, value: str, environment: Environment) -> str | None:
    """What a variable that is there must become; None where it may stay."""
    if key == "ENVIRONMENT" and value != environment:
        return environment
    if variable.type == "list" and value and values.problem(variable, value):
        return json.dumps([item.strip() for item in value.split(",") if item.strip()])
    if environment == "production" and variable.safe and values.truth(value) != values.truth(variable.safe):
        return variable.safe
    return None


def _to_old(text: str) -> Rewritten:
    on = _features_on(text)
    back = rewriting.take_back(on.text, _OLD_LABEL, _came_with_new)
    kept = envfile.parse(back.text, "").values
    # A variable that stood there before chatctl came is not chatctl's to take away, unless 2.0 alone can read it.
    left = rewriting.without(back.text, [key for key in kept if _is_new(key) and key not in back.changed])
    return Rewritten(
        left.text, changed=[*on.changed, *back.changed], removed=[*on.removed, *back.removed, *left.removed]
    )


def _is_new(key: str) -> bool:
    variable = catalogue().keys.get(key)
    return variable is not None and variable.since == NEW


def _came_with_new(key: str, value: str) -> bool:
    """Whether a variable in the block of additions is one that 1.x doesn't read, or still as it was added."""
    variable = catalogue().keys.get(key)
    return _is_new(key) or (variable is not None and value == variable.new)


def _switch(text: str, features: Features, variables: Mapping[str, Variable]) -> Rewritten:
    if features == "on":
        return _features_on(text)
    off = {key: variable.rollback for key, variable in variables.items() if variable.rollback is not None}
    return rewriting.put(text, _OFF_LABEL, off, {key: variables[key].doc for key in off})


def _features_on(text: str) -> Rewritten:
    def ours(key: str, value: str) -> bool:
        variable = catalogue().keys.get(key)
        return variable is not None and variable.rollback == value

    return rewriting.take_back(text, _OFF_LABEL, ours)


def _refuse_secrets(given: Mapping[str, str]) -> None:
    for key in given:
        variable = catalogue().keys.get(key)
        if variable is not None and variable.hidden:
            raise UsageError(
                f"{key} is a secret, and a command line can be read by others.",
                hint="Write it into the file after the conversion.",
            )


def _changes(step: Rewritten, after: Mapping[str, str]) -> list[dict[str, Any]]:
    kinds: dict[str, list[str]] = {"added": step.added, "changed": step.changed, "removed": step.removed}
    return [
        {"key": key, "change": kind, "value": _shown(key, after.get(key))}
        for kind, keys in kinds.items()
        for key in keys
    ]


def _shown(key: str, value: str | None) -> str | None:
    variable = catalogue().keys.get(key)
    return "***" if value and (variable is None or variable.hidden) else value


def _open(after: envfile.EnvFile, environment: Environment, variables: Mapping[str, Variable]) -> list[dict[str, str]]:
    """What somebody still has to fill in before `env check` passes."""
    tests: tuple[Callable[[Variable, str], object], ...] = (values.is_placeholder, values.weakness)
    needed = []
    for key, variable in variables.items():
        value = after.values.get(key, "")
        missing = not value and variable.needed_in(environment) and values.applies(variable, after.values)
        poor = value and environment != "development" and variable.hidden and any(t(variable, value) for t in tests)
        if missing or poor:
            needed.append({"key": key, "why": variable.doc})
    return needed


def _left_over(after: envfile.EnvFile, environment: Environment) -> tuple[Notice, ...]:
    broken = ", ".join(str(line.number) for line in after.lines if line.broken)
    if not broken:
        return ()
    hint = f"chatctl env check --environment {environment} says what is wrong with them."
    return (Notice("unreadable_lines", f"Kept as they are, though they set nothing: lines {broken}.", hint),)
