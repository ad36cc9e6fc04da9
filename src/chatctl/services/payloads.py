"""`payload check` and `upgrade`: ray's requests, as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatctl.domain.ray_messages import old_fields, problems, upgraded
from chatctl.domain.result import Outcome, Result
from chatctl.errors import InputFileError
from chatctl.services.transfer.output import file_errors, whole_file

#: What is shown of what is wrong; the counts are whole.
_SHOWN = 100


@dataclass(frozen=True)
class Ids:
    """What an old request gets for the fields that it lacks: by the first rule that fits, else the given ones.

    A rule is {"match": {field: value}, "set": {project_id, chat_id, user_id}}.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Mapping[str, Any], ...] = ()

    def of(self, request: Mapping[str, Any]) -> dict[str, str]:
        """The IDs for one request."""
        for rule in self.rules:
            wanted = rule.get("match") or {}
            if all(request.get(name) == value for name, value in wanted.items()):
                return {**self.given, **rule.get("set", {})}
        return dict(self.given)


def read_rules(file: Path) -> tuple[Mapping[str, Any], ...]:
    """The rules of a mapping file: JSON lines. Raises InputFileError."""
    rules = []
    for number, value in _lines(file):
        if not isinstance(value, Mapping) or not isinstance(value.get("set"), Mapping):
            raise InputFileError(f"{file}:{number}: expected an object with 'set', and 'match' where it is for some.")
        rules.append(value)
    return tuple(rules)


def check(file: Path) -> Result:
    """Which requests can be sent as they are, and what is wrong with the others; findings where one can't."""
    tally = _Tally()
    for number, value in _lines(file):
        tally.add(number, problems(value), old=isinstance(value, Mapping) and bool(old_fields(value)))
    data = {"requests": tally.requests, "valid": tally.valid, "old": tally.old, "problems": tally.shown}
    return Result(data, Outcome.DONE if tally.valid == tally.requests else Outcome.FINDINGS)


def upgrade(file: Path, out: Path | None, ids: Ids, write: Callable[[str], None]) -> Result:
    """Writes every request in the new format, to `out` or by `write`; those that can't be upgraded are left out."""
    if out is None:
        return _upgrade(file, ids, write)
    with whole_file(out) as stream:

        def to_file(text: str) -> None:
            stream.write(text.encode())

        return _upgrade(file, ids, to_file)


def _upgrade(file: Path, ids: Ids, write: Callable[[str], None]) -> Result:
    tally, written = _Tally(), 0
    for number, value in _lines(file):
        new = upgraded(value, ids.of(value)) if isinstance(value, Mapping) else value
        found = problems(new)
        tally.add(number, found, old=isinstance(value, Mapping) and bool(old_fields(value)))
        if not found:
            written += 1
            write(json.dumps(new, ensure_ascii=False) + "\n")
    data = {"requests": tally.requests, "written": written, "old": tally.old, "problems": tally.shown}
    if written == tally.requests:
        return Result(data)
    return Result(data, Outcome.PARTIAL if written else Outcome.FINDINGS)


@dataclass
class _Tally:
    requests: int = 0
    valid: int = 0
    old: int = 0
    shown: list[dict[str, Any]] = field(default_factory=list)

    def add(self, line: int, found: list[str], *, old: bool) -> None:
        self.requests += 1
        self.old += old
        self.valid += not found
        if found and len(self.shown) < _SHOWN:
            self.shown.append({"line": line, "problems": found})


def _lines(file: Path) -> Iterator[tuple[int, Any]]:
    with file_errors(file), file.open(encoding="utf-8") as lines:
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line)
        except json.JSONDecodeError as problem:
            raise InputFileError(f"{file}:{number}: no JSON ({problem.msg}).") from None
        except (UnicodeDecodeError, RecursionError) as problem:
            raise InputFileError(f"{file}: it can't be read as JSON lines ({type(problem).__name__}).") from None
