"""Finds the old forms in a tree of source code, and rewrites those of which nothing is left to judge.

A rewritten file is kept only if its grammar still reads it. What isn't certain stays as it is, and is a finding.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chatctl.domain.findings import Severity
from chatctl.domain.result import Outcome, Result
from chatctl.errors import InputFileError
from chatctl.services.code import astgrep
from chatctl.services.code.astgrep import Match
from chatctl.services.code.importing import with_import
from chatctl.services.code.rules import rule_set
from chatctl.services.files import write_text

_SEVERITIES = {"error": Severity.ERROR, "warning": Severity.WARNING}


@dataclass(frozen=True)
class Rewrite:
    """A file as it was and as it is to be, and the matches that make the difference."""

    file: Path
    before: str
    after: str
    matches: tuple[Match, ...]


def scan(place: Path, user_rules: tuple[Path, ...] = (), *, fix: bool = False, dry_run: bool = False) -> Result:
    """Every old form below `place`; with `fix` the certain ones are rewritten, and with `dry_run` only shown.

    Raises InputFileError where there is nothing at `place` or a rule can't be used.
    """
    if not place.exists():
        raise InputFileError(f"There is nothing at {place}.")
    rules = rule_set(user_rules)
    matches = astgrep.scan(place, rules)
    certain = set(_certain(matches))
    rewrites = list(_rewrites(matches, certain)) if fix else []
    if fix and not dry_run:
        for rewrite in rewrites:
            write_text(rewrite.file, rewrite.after)
        matches = astgrep.scan(place, rules)
        certain = set(_certain(matches))
    base = place.resolve() if place.is_dir() else place.resolve().parent
    data: dict[str, Any] = {
        "path": str(place),
        "rules": len({rule["id"].rpartition(":")[0] for rule in rules.rules}),
        "findings": [_finding(match, base, place, match in certain) for match in matches],
        "fixed": [_change(match, base) for rewrite in rewrites for match in rewrite.matches],
        "diff": "".join(_diff(rewrite, base) for rewrite in rewrites),
        "written": fix and not dry_run and bool(rewrites),
    }
    return Result(data, Outcome.FINDINGS if matches else Outcome.DONE)


def _certain(matches: Iterable[Match]) -> Iterator[Match]:
    """The matches that can be rewritten: those with a replacement, unless something of their group in the same file
    has none.
    """
    for _, group in groupby(matches, key=lambda match: match.file):
        inside = list(group)
        blocked = {match.group for match in inside if match.replacement is None and match.group}
        yield from (match for match in inside if match.replacement is not None and match.group not in blocked)


def _rewrites(matches: list[Match], certain: set[Match]) -> Iterator[Rewrite]:
    for file, group in groupby((match for match in matches if match in certain), key=lambda match: match.file):
        rewrite = _rewrite(file, list(group))
        if rewrite is not None:
            yield rewrite


def _rewrite(file: Path, matches: list[Match]) -> Rewrite | None:
    content = file.read_bytes()
    pieces: list[bytes] = []
    used: list[Match] = []
    position = 0
    # A match inside another one is rewritten in the next pass, if it is still there.
    for match in matches:
        if match.start < position or match.replacement is None:
            continue
        repeated = match.once and any(match.replacement == earlier.replacement for earlier in used)
        pieces += [content[position : match.start], b"" if repeated else match.replacement.encode()]
        position = match.end + _line_end(content, match.end) if repeated else match.end
        used.append(match)
    after = b"".join([*pieces, content[position:]]).decode()
    for needed in {match.needs for match in used if match.needs}:
        after = with_import(after, needed)
    return Rewrite(file, content.decode(), after, tuple(used)) if _still_read(file, content, after) else None


def _line_end(content: bytes, at: int) -> int:
    """The length of the line end at `at`; 0 where none is there."""
    return next((len(end) for end in (b"\r\n", b"\n") if content.startswith(end, at)), 0)


def _still_read(file: Path, before: bytes, after: str) -> bool:
    """Whether the file's grammar understands what is to be written as well as it understood what was there."""
    with TemporaryDirectory(prefix="chatctl-fix-") as folder:
        copy = Path(folder, file.name)
        copy.write_bytes(before)
        already = astgrep.broken_places(copy)
        copy.write_text(after, encoding="utf-8", newline="")
        return astgrep.broken_places(copy) <= already


def _finding(match: Match, base: Path, place: Path, certain: bool) -> dict[str, Any]:
    return {
        "rule": match.rule,
        "severity": str(_SEVERITIES.get(match.severity, Severity.NOTE)),
        "where": f"{_shown(match.file, base)}:{match.line}",
        "message": match.message,
        "hint": match.note,
        "fix": f"chatctl code scan {place} --fix" if certain else None,
        "before": match.text,
        "after": match.replacement if certain else None,
    }


def _change(match: Match, base: Path) -> dict[str, Any]:
    where = f"{_shown(match.file, base)}:{match.line}"
    return {"rule": match.rule, "where": where, "before": match.text, "after": match.replacement}


def _shown(file: Path, base: Path) -> str:
    return str(file.relative_to(base)) if file.is_relative_to(base) else str(file)


def _diff(rewrite: Rewrite, base: Path) -> str:
    name = _shown(rewrite.file, base)
    lines = difflib.unified_diff(
        rewrite.before.splitlines(keepends=True),
        rewrite.after.splitlines(keepends=True),
        f"a/{name}",
        f"b/{name}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
