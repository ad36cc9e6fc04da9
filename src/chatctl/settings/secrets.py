"""Texts that are never shown, and where they come from.

A value is written down as itself or as a reference: `file:PATH`, `cmd:COMMAND` or `env:NAME`. What was written is a
`Written`; bound to the place where it stands it becomes a `Secret`, which follows the reference when it is revealed
and not before. `str` and `repr` of either hold no secret.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chatctl.errors import ConfigurationError
from chatctl.observe.masking import remember_secret
from chatctl.settings import locations, urls

COMMAND_LIMIT_SECONDS = 10
_FILE_LIMIT_BYTES = 65_536
_STARS = "***"


def _anything(text: str) -> None:
    if not text:
        raise ValueError("expected a text that isn't empty")


def _whole(text: str) -> list[str]:
    return [text]


@dataclass(frozen=True)
class Shape:
    """What a confidential text must look like, and what may be shown of it.

    `check` raises ValueError, saying what was expected without quoting the text. `place` makes a relative path
    absolute. `parts` are the parts of the text that nobody may see.
    """

    check: Callable[[str], None] = _anything
    mask: Callable[[str], str] = lambda text: _STARS
    place: Callable[[str, Path], str] = lambda text, base: text
    parts: Callable[[str], list[str]] = _whole
    reference: re.Pattern[str] = re.compile(r"(?P<kind>file|cmd|env):(?P<argument>.*)")


DATABASE = Shape(urls.check_database_url, urls.mask_url, parts=urls.passwords)
REDIS = Shape(urls.check_redis_url, urls.mask_url, parts=urls.passwords)
# `file://…` is a store of its own here, as fsspec writes it.
STORE = Shape(
    urls.check_store,
    urls.mask_url,
    urls.place_store,
    urls.passwords,
    re.compile(r"(?P<kind>file(?!://)|cmd|env):(?P<argument>.*)"),
)
PASSPHRASE = Shape()
# Whoever knows such a URL can report in the job's name: its path is what is secret.
PING = Shape(urls.check_ping_url, urls.mask_path, parts=urls.paths)


class LiteralText(str):
    """A text that is itself, even where it begins like a reference: the applications' own variables are such."""

    __slots__ = ()


@dataclass(frozen=True)
class Reference:
    """Where a secret comes from. Its `str` names the file or variable, and of a command the program alone."""

    kind: str
    argument: str

    @property
    def written(self) -> str:
        """The reference whole, as a configuration file holds it."""
        return f"{self.kind}:{self.argument}"

    def __str__(self) -> str:
        if self.kind != "cmd":
            return self.written
        program, _, rest = self.argument.strip().partition(" ")
        return f"cmd:{program} …" if rest else f"cmd:{program}"

    def __repr__(self) -> str:
        return f"Reference({self})"

    def follow(self, base: Path, environ: Mapping[str, str]) -> str:
        """The text that it names; raises ValueError saying why there is none."""
        if self.kind == "file":
            return _read_file(locations.placed(self.argument, base))
        if self.kind == "cmd":
            return _run(self.argument, base, environ)
        if not environ.get(self.argument):
            raise ValueError(f"the variable {self.argument} isn't set")
        return environ[self.argument]


class Written:
    """A confidential text as it stands in a file, a variable or a flag."""

    __slots__ = ("_text", "reference", "shape")

    def __init__(self, text: str, shape: Shape) -> None:
        """Raises ValueError where `text` is neither a reference nor of the shape."""
        match = None if isinstance(text, LiteralText) else shape.reference.fullmatch(text)
        self.shape = shape
        self.reference = Reference(match["kind"], match["argument"].strip()) if match else None
        if self.reference is None:
            shape.check(text)
        elif not self.reference.argument:
            raise ValueError(f"expected something after '{self.reference.kind}:'")
        self._text = str(text)

    def bind(self, where: str, base: Path, environ: Mapping[str, str]) -> Secret:
        """The secret itself. Errors name `where`; relative paths are seen from `base`."""
        if self.reference is None:
            return Secret(self.shape.place(self._text, base), self.shape)
        reference, shape = self.reference, self.shape

        def follow() -> str:
            try:
                text = reference.follow(base, environ)
                shape.check(text)
            except ValueError as problem:
                raise ConfigurationError(f"{where}: {problem}.", hint=f"The value is read from {reference}.") from None
            return shape.place(text, base)

        return Secret(None, shape, reference, follow)

    def __str__(self) -> str:
        return str(self.reference) if self.reference else self.shape.mask(self._text)

    def __repr__(self) -> str:
        return f"Written({self})"


class Secret:
    """A confidential text: a URL that may hold a password, or a passphrase."""

    __slots__ = ("_follow", "_shape", "_text", "reference")

    def __init__(
        self,
        text: str | None,
        shape: Shape,
        reference: Reference | None = None,
        follow: Callable[[], str] | None = None,
    ) -> None:
        self._text = text
        self._shape = shape
        self._follow = follow
        self.reference = reference

    def reveal(self) -> str:
        """The text itself, read from its reference the first time. Raises ConfigurationError where that fails.

        From then on no message or log line shows its secret parts, whoever quotes them.
        """
        if self._text is None:
            assert self._follow is not None
            self._text = self._follow()
        for part in self._shape.parts(self._text):
            remember_secret(part)
        return self._text

    def shown(self) -> str:
        """What may be shown of the revealed text: a URL without its password, or `***`. Raises as `reveal` does."""
        return self._shape.mask(self.reveal())

    def __str__(self) -> str:
        return self._shape.mask(self._text) if self.reference is None and self._text else str(self.reference)

    def __repr__(self) -> str:
        return f"Secret({self})"


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_LIMIT_BYTES + 1)
    except OSError as problem:
        raise ValueError(f"the file {path} can't be read: {problem.strerror}") from None
    if len(content) > _FILE_LIMIT_BYTES:
        raise ValueError(f"the file {path} is larger than {_FILE_LIMIT_BYTES // 1024} KiB")
    return _one_text(content, f"the file {path}")


def _run(command: str, base: Path, environ: Mapping[str, str]) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        raise ValueError("the command's quotes don't match") from None
    program = words[0]
    try:
        done = subprocess.run(
            words, cwd=base, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=COMMAND_LIMIT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ValueError(f"the command {program} took longer than {COMMAND_LIMIT_SECONDS} s") from None
    except OSError as problem:
        raise ValueError(f"the command {program} can't be started: {problem.strerror}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"the command {program} ended with code {done.returncode}{f': {said[0]}' if said else ''}")
    return _one_text(done.stdout, f"the output of {program}")


def _one_text(content: bytes, what: str) -> str:
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{what} isn't UTF-8") from None
    if not text:
        raise ValueError(f"{what} is empty")
    return text
