"""One value as text in a table's cell or a CSV field."""

from __future__ import annotations

import json
import re
from typing import Any

#: C0 but for newline and tab, DEL, C1 and the two separators that count as line ends: what would move a terminal's
#: cursor, change its state, or break a row in two.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def harmless(text: str) -> str:
    r"""`text` with control characters shown as `\x1b`, so that stored data can't drive somebody's terminal."""
    return _CONTROLS.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def for_people(value: Any) -> str:
    """A value in a table: one line, yes and no, thousands grouped, nothing at all for null."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.3f}".rstrip("0").rstrip(".")
        case str():
            text = value
        case list() | tuple() if all(isinstance(item, str | int) for item in value):
            text = ", ".join(str(item) for item in value)
        case _:
            text = _compact_json(value)
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def for_machines(value: Any) -> str:
    """A value in a CSV field: null is empty, booleans are true and false, lists and mappings are JSON."""
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return _compact_json(value)


def _compact_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
