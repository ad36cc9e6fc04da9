"""What the systems' rows share: IDs that sort by time, and rows as plain values."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

_RANDOM_BYTES = 8


def new_id(prefix: str = "c") -> str:
    """An ID that nobody can guess and that sorts behind those made before it."""
    return f"{prefix}{time.time_ns():016x}{secrets.token_hex(_RANDOM_BYTES)}"


def fitting(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that the table has a column for."""
    return {key: value for key, value in values.items() if key in table.c}


def plain(row: Any) -> dict[str, Any]:
    """The row (of SQLAlchemy) by its columns' keys."""
    return dict(row._mapping)


def keyed(table: sa.Table, keys: tuple[str, ...]) -> list[sa.ColumnElement[Any]]:
    """The columns `keys` of the table under these names; NULL where it has no such column."""
    return [(table.c[key] if key in table.c else sa.null()).label(key) for key in keys]
