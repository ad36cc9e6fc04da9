"""A `.env` file that can be changed without losing its comments, its order or its blank lines.

python-dotenv reads it; what isn't changed is written back byte by byte.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dotenv.parser import parse_stream

from chatctl.errors import InputFileError

#: What needs quotes in a .env file: spaces, the comment sign, quotes themselves.
_PLAIN = re.compile(r"""[^\s#'"`\\$]*""")
_ASSIGNMENT = re.compile(r"(?P<head>\s*(?:export[^\S\r\n]+)?['\"]?[^=\s'\"#]+['\"]?[^\S\r\n]*=[^\S\r\n]*)")


@dataclass(frozen=True)
class Line:
    """A piece of the file: an assignment (`value` is None where there is no `=`), or a comment, or what can't be read.

    `text` is the piece as it stands, its line end included; `number` the line that it begins in.
    """

    text: str
    number: int
    key: str | None = None
    value: str | None = None
    broken: bool = False


@dataclass(frozen=True)
class EnvFile:
    """The lines of a file, in its order; `name` is what messages call it."""

    name: str
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """The whole file."""
        return "".join(line.text for line in self.lines)

    @property
    def values(self) -> dict[str, str]:
        """The value of each variable; the last one counts, as for whoever reads the file."""
        return {line.key: line.value or "" for line in self.assignments()}  # type: ignore[misc]

    def assignments(self) -> Iterator[Line]:
        """The lines that set a variable."""
        return (line for line in self.lines if line.key is not None)

    def where(self, key: str | None = None) -> str:
        """`file:line` of the last assignment of `key`; the file's name where it has none."""
        found = [line.number for line in self.assignments() if line.key == key]
        return f"{self.name}:{found[-1]}" if found else self.name


def read(path: Path) -> EnvFile:
    """The file at `path` (UTF-8). Raises InputFileError where it can't be read."""
    try:
        return parse(path.read_bytes().decode("utf-8-sig"), str(path))
    except OSError as problem:
        raise InputFileError(f"{path}: can't be read: {problem.strerror}.") from problem
    except UnicodeDecodeError:
        raise InputFileError(f"{path}: can't be read: it isn't UTF-8.") from None


def parse(text: str, name: str) -> EnvFile:
    """The file `text`, called `name` in messages."""
    lines = []
    for binding in parse_stream(io.StringIO(text, newline="")):
        piece, number = binding.original.string, binding.original.line
        number += len(piece) - len(piece.lstrip("\r\n")) if binding.key else 0
        lines.append(Line(piece, number, binding.key, binding.value, binding.error))
    return EnvFile(name, tuple(lines))


def with_value(line: Line, value: str) -> Line:
    """The assignment `line` with another value; what stands before it stays, what follows it on the line goes."""
    assert line.key is not None
    head = _ASSIGNMENT.match(line.text)
    end = "\r\n" if line.text.endswith("\r\n") else "\n"
    start = head["head"] if head else f"{line.key}="
    return replace(line, text=f"{start}{quoted(value)}{end}", value=value)


def assignment(key: str, value: str) -> str:
    """`KEY=value` and a newline, quoted where it has to be."""
    return f"{key}={quoted(value)}\n"


def quoted(value: str) -> str:
    """The value as it has to stand in the file."""
    if _PLAIN.fullmatch(value) or (value.startswith("[") and "#" not in value and "$" not in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
