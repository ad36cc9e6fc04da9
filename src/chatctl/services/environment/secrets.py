"""Makes secrets of one's own choice, such as what tokens are signed with."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from chatctl.domain.result import Result
from chatctl.errors import UsageError
from chatctl.services.environment import envfile
from chatctl.services.environment.catalogue import catalogue
from chatctl.services.environment.converting import keep, replace_file

#: 256 bits, which HS256 asks for at least (RFC 7518, section 3.2).
LEAST_BYTES = 32


def make(key: str, bytes_: int, write: Path | None, *, dry_run: bool = False) -> Result:
    """A new secret for the variable `key`: shown, or put into the file `write` and not shown.

    Raises UsageError for a variable whose secret is a provider's to give.
    """
    variable = catalogue().keys.get(key)
    if variable is not None and not variable.made_here:
        raise UsageError(
            f"{key} can't be made up: {'its provider hands it out' if variable.hidden else 'it is no secret'}.",
            hint="Secrets of your own: " + ", ".join(name for name, v in catalogue().keys.items() if v.made_here),
        )
    secret = secrets.token_urlsafe(bytes_)
    data: dict[str, Any] = {"key": key, "bytes": bytes_, "secret": None, "file": None, "backup": None, "written": False}
    if write is None:
        return Result({**data, "secret": secret})
    data["file"] = str(write)
    if not dry_run:
        backup = keep(write) if write.exists() else None
        replace_file(write, _with_secret(write, key, secret), write)
        data |= {"written": True, "backup": str(backup) if backup else None}
    return Result(data)


def _with_secret(path: Path, key: str, secret: str) -> str:
    if not path.exists():
        return envfile.assignment(key, secret)
    file = envfile.read(path)
    pieces = [
        _spaced(line.text, envfile.with_value(line, secret).text) if line.key == key else line.text
        for line in file.lines
    ]
    if key not in file.values:
        pieces += ["" if file.text.endswith("\n") or not file.text else "\n", envfile.assignment(key, secret)]
    return "".join(pieces)


def _spaced(old: str, new: str) -> str:
    """`new` with the empty lines that stood before `old`."""
    return old[: len(old) - len(old.lstrip("\r\n"))] + new.lstrip("\r\n")
