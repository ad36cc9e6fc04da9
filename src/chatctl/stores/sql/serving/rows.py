"""What the systems' rows share: IDs that sort by time, and rows as plain values."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

_RANDOM_BYTES = 8
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class _Randomness:
    """The system's randomness, asked for rarely: each time lets another thread take over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = b""

    def take(self) -> bytes:
        """The next few bytes, which nobody else gets."""
        with self._lock:
            if not self._left:
                self._left = secrets.token_bytes(_RANDOM_BYTES * 512)
            taken, self._left = self._left[:_RANDOM_BYTES], self._left[_RANDOM_BYTES:]
            return taken


_randomness = _Randomness()


def new_id() -> str:
    """An ID that nobody can guess and that sorts behind those made before it: 25 characters.

    That is a cuid's length, and applications have columns that are no wider than their own IDs.
    """
    moment, chance = time.time_ns() // 1_000, int.from_bytes(_randomness.take())
    return f"c{_base36(moment, 11)}{_base36(chance, 13)}"


def _base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def fitting(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that the table has a column for."""
    return {key: value for key, value in values.items() if key in table.c}


def plain(row: Any) -> dict[str, Any]:
    """The row (of SQLAlchemy) by the names that it was selected under: those of `keyed`, not a layout's."""
    return dict(row._mapping)


def keyed(table: sa.Table, keys: tuple[str, ...]) -> list[sa.ColumnElement[Any]]:
    """The columns `keys` of the table under these names; NULL where it has no such column."""
    return [(table.c[key] if key in table.c else sa.null()).label(key) for key in keys]
