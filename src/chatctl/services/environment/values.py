"""What a variable's value may be. Nothing here quotes a value in what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from chatctl.services.environment.catalogue import Variable, catalogue

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_PLACEHOLDER = re.compile(
    r"your[-_ ]|^<.*>$|change[-_ ]?me|change[-_ ]in[-_ ]|^x{3,}$|^todo$|example[-_]key", re.IGNORECASE
)
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
#: Fewer different characters than this are no secret, however many there are.
_DIFFERENT = 8


def problem(variable: Variable, value: str) -> str | None:
    """What is wrong with `value`, as a sentence goes on after the variable's name; None where it fits."""
    check = _CHECKS.get(variable.type)
    return check(variable, value) if check else None


def truth(value: str) -> str:
    """`true` or `false` for the words that mean it; any other value as it is."""
    word = value.strip().lower()
    return "true" if word in _TRUE else "false" if word in _FALSE else value


def applies(variable: Variable, held: Mapping[str, str]) -> bool:
    """Whether the other variables in `held` are such that this one counts."""
    for name, wanted in variable.when.items():
        value = held.get(name) or catalogue().keys[name].default or ""
        if truth(value) != truth(wanted):
            return False
    return True


def as_list(value: str) -> list[str]:
    """The items of a JSON list of texts; nothing where it is none."""
    try:
        items = json.loads(value)
    except ValueError:
        return []
    return [str(item) for item in items] if isinstance(items, list) else []


def is_placeholder(variable: Variable, value: str) -> bool:
    """Whether the value, or a password in it, is one that a guide prints, or says itself that it is none."""
    if variable.type == "url":
        return any(part in value for part in variable.known) or bool(
            _PLACEHOLDER.search(urlsplit(value).password or "")
        )
    return value in variable.known or bool(_PLACEHOLDER.search(value))


def weakness(variable: Variable, value: str) -> str | None:
    """What makes a secret weak, as a sentence goes on; None where nothing does.

    A key for HS256 has 256 bits or more (RFC 7518, section 3.2), which is what `minimum` is set to.
    """
    if variable.minimum is not None and len(value) < variable.minimum:
        return f"is shorter than {variable.minimum:.0f} characters"
    if variable.minimum is not None and len(set(value)) < _DIFFERENT:
        return "repeats a few characters"
    return None


def _whole(variable: Variable, value: str) -> str | None:
    if not re.fullmatch(r"[+-]?[0-9]+", value.strip()):
        return "is no whole number"
    return _within(variable, float(value))


def _number(variable: Variable, value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "is no number"
    return _within(variable, number)


def _within(variable: Variable, number: float) -> str | None:
    # Written so that what is no number at all (nan) fails, too.
    if variable.minimum is not None and not number >= variable.minimum:
        return f"is less than {variable.minimum:g}"
    if variable.maximum is not None and not number <= variable.maximum:
        return f"is more than {variable.maximum:g}"
    return None


def _boolean(variable: Variable, value: str) -> str | None:
    return None if truth(value) in ("true", "false") else "is neither true nor false"


def _url(variable: Variable, value: str) -> str | None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return "is no URL"
    scheme = parts.scheme.partition("+")[0]
    if variable.schemes and scheme not in variable.schemes:
        return f"must begin with one of {', '.join(f'{name}:' for name in variable.schemes)}"
    if not parts.netloc and not parts.path.strip("/"):
        return "names no host"
    return None


def _host(variable: Variable, value: str) -> str | None:
    return None if _HOST.fullmatch(value) else "is no host name"


def _choice(variable: Variable, value: str) -> str | None:
    return None if value in variable.choices else f"is none of {', '.join(variable.choices)}"


def _list(variable: Variable, value: str) -> str | None:
    try:
        items = json.loads(value)
    except ValueError:
        items = None
    fits = isinstance(items, list) and all(isinstance(item, str) for item in items)
    return None if fits else 'is no JSON list of texts, such as ["https://app.example.org"]'


_CHECKS: dict[str, Callable[[Variable, str], str | None]] = {
    "integer": _whole,
    "number": _number,
    "boolean": _boolean,
    "url": _url,
    "host": _host,
    "choice": _choice,
    "list": _list,
}
