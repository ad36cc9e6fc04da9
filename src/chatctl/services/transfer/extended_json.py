"""BSON's extended JSON: `{"$oid": …}`, `{"$date": …}` and their like, as plain values and back.

`{"$literal": X}` is ours: in a JSON column it means the JSON value X exactly as it stands, which tells a JSON null
from no value, and data that only looks like extended JSON from the real thing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from chatctl.services.transfer.instants import iso_text, parse_instant, unix_instant
from chatctl.services.transfer.unfit import UnfitError

#: The key that says: the value in here is the column's JSON, nothing in it is to be interpreted.
LITERAL = "$literal"

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_UUID_SUBTYPE = 4


def is_object_id(text: Any) -> bool:
    """Whether `text` is the 24 lower-case hexadecimal digits of a MongoDB ObjectId."""
    return isinstance(text, str) and _OBJECT_ID.fullmatch(text) is not None


def unwrap(value: dict[str, Any]) -> Any:
    """The plain value of an extended form (str, int, float, Decimal, UUID or naive UTC datetime).

    A dict that is no extended form comes back as it is. Raises UnfitError where a form holds nonsense.
    """
    key = next(iter(value), "")
    if key == "$binary":
        return _binary(value)
    form = _FORMS.get(key) if len(value) == 1 else None
    if form is None:
        return value
    try:
        return form(value[key])
    except (ValueError, TypeError, AttributeError, ArithmeticError) as problem:
        if isinstance(problem, UnfitError):
            raise
        raise UnfitError(f"holds a broken {key}") from problem


def plain(value: Any) -> Any:
    """`value` with every extended form in it, at any depth, as JSON of its own: times as ISO 8601 text."""
    if isinstance(value, dict):
        found = unwrap(value)
        if not isinstance(found, dict):
            return _as_json(found)
        return {key: plain(item) for key, item in found.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_text(value, 3)
    return str(value) if isinstance(value, UUID) else value


def _object_id(value: str) -> str:
    if not is_object_id(value.lower()):
        raise UnfitError("holds a broken $oid")
    return value.lower()


def _date(value: Any) -> datetime:
    if isinstance(value, dict):
        value = unwrap(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return unix_instant(value, 1_000)
    return parse_instant(_text(value))


def _binary(value: Mapping[str, Any]) -> UUID:
    """Only UUIDs: no column holds bytes, and the old subtype 3 doesn't say its byte order."""
    body = value["$binary"]
    if not isinstance(body, dict):
        body = {"base64": body, "subType": value.get("$type")}
    try:
        if int(_text(body.get("subType")), 16) != _UUID_SUBTYPE:
            raise UnfitError(f"holds binary data of subtype {body['subType']}")
        return UUID(bytes=base64.b64decode(_text(body.get("base64")), validate=True))
    except (TypeError, ValueError) as problem:
        if isinstance(problem, UnfitError):
            raise
        raise UnfitError("holds a broken $binary") from problem


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


_FORMS: dict[str, Callable[[Any], Any]] = {
    "$oid": _object_id,
    "$date": _date,
    "$numberInt": lambda value: int(_text(value)),
    "$numberLong": lambda value: int(_text(value)),
    "$numberDouble": lambda value: float(_text(value)),
    "$numberDecimal": lambda value: Decimal(_text(value)),
    "$uuid": lambda value: UUID(_text(value)),
}
