"""Changes the values of a `.env` text so that the change can be taken back: the old line stays above as a comment.

What is new stands in a block at the end, between two marks. A change has a label, and is taken back by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from chatctl.services.environment import envfile
from chatctl.services.environment.envfile import Line


@dataclass(frozen=True)
class Rewritten:
    """A text after a change: the keys that were added, changed and removed."""

    text: str
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def put(text: str, label: str, wanted: Mapping[str, str], headings: Mapping[str, str]) -> Rewritten:
    """The text with the `wanted` values. `headings` are comments for variables that aren't in it yet."""
    file = envfile.parse(text, "")
    present = file.values
    eol = "\r\n" if "\r\n" in text else "\n"
    pieces, changed = [], []
    for line in file.lines:
        if line.key is None or line.key not in wanted or line.value == wanted[line.key]:
            pieces.append(line.text)
            continue
        gap, original = _split(line)
        pieces.append(f"{gap}# {label}: {original.rstrip()}{eol}")
        pieces.append(envfile.with_value(Line(original, 0, line.key), wanted[line.key]).text)
        changed.append(line.key)
    added = [key for key in wanted if key not in present]
    rewritten = "".join(pieces)
    if added:
        ending = "" if rewritten.endswith("\n") or not rewritten else eol
        rewritten += ending + _block(label, {key: wanted[key] for key in added}, headings).replace("\n", eol)
    return Rewritten(rewritten, added, list(dict.fromkeys(changed)))


def take_back(text: str, label: str, goes: Callable[[str, str], bool]) -> Rewritten:
    """The text as it was before `put` with the same label.

    What somebody wrote into the block stays, unless `goes` says of its key and value that it is part of the change.
    """
    removed: list[str] = []

    def unpacked(match: re.Match[str]) -> str:
        kept = []
        for line in envfile.parse(match["inside"], "").lines:
            if line.key is None:
                continue
            if goes(line.key, line.value or ""):
                removed.append(line.key)
            else:
                kept.append(line.text.lstrip("\r\n"))
        return "".join(kept)

    text = _block_pattern(label).sub(unpacked, text)
    restored: list[str] = []

    def put_back(match: re.Match[str]) -> str:
        (line,) = envfile.parse(match["original"], "").assignments()
        restored.append(str(line.key))
        return match["original"]

    kept_line = re.compile(rf"^# {re.escape(label)}: (?P<original>[^\r\n]*\r?\n)[^\r\n]*(?:\r?\n|$)", re.MULTILINE)
    return Rewritten(kept_line.sub(put_back, text), changed=restored, removed=removed)


def without(text: str, keys: Iterable[str]) -> Rewritten:
    """The text without the assignments of `keys`; comments stay."""
    gone = set(keys)
    removed, pieces = [], []
    for line in envfile.parse(text, "").lines:
        if line.key in gone:
            removed.append(str(line.key))
            pieces.append(_split(line)[0])
        else:
            pieces.append(line.text)
    return Rewritten("".join(pieces), removed=removed)


def _split(line: Line) -> tuple[str, str]:
    """The empty lines that stand before an assignment, and the assignment."""
    original = line.text.lstrip("\r\n")
    return line.text[: len(line.text) - len(original)], original


def _marks(label: str) -> tuple[str, str]:
    return f"# >>> chatctl env convert: {label}", f"# <<< chatctl env convert: {label}"


def _block(label: str, values: Mapping[str, str], headings: Mapping[str, str]) -> str:
    begin, end = _marks(label)
    lines = ["\n", f"{begin}\n"]
    for key, value in values.items():
        lines += [f"# {headings[key]}\n"] if key in headings else []
        lines.append(envfile.assignment(key, value))
    return "".join([*lines, f"{end}\n"])


def _block_pattern(label: str) -> re.Pattern[str]:
    begin, end = (re.escape(mark) for mark in _marks(label))
    return re.compile(rf"\r?\n{begin}\r?\n(?P<inside>.*?){end}(?:\r?\n|$)", re.DOTALL)
