"""What the systems' rows share: IDs that sort by time, and rows as plain values."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

_RANDOM_BYTES = 8


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


def new_id(prefix: str = "c") -> str:
    """An ID that nobody can guess and that sorts behind those made before it."""
    return f"{prefix}{time.time_ns():016x}{_randomness.take().hex()}"


def fitting(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that the table has a column for."""
    return {key: value for key, value in values.items() if key in table.c}


def plain(row: Any) -> dict[str, Any]:
    """The row (of SQLAlchemy) by the names that it was selected under: those of `keyed`, not a layout's."""
    return dict(row._mapping)


def keyed(table: sa.Table, keys: tuple[str, ...]) -> list[sa.ColumnElement[Any]]:
    """The columns `keys` of the table under these names; NULL where it has no such column."""
    return [(table.c[key] if key in table.c else sa.null()).label(key) for key in keys]
