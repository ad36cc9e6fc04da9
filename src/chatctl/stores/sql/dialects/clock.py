"""The server's clock as a column default: UTC on every engine, whatever the session's time zone is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class UtcNow(FunctionElement[Any]):
    """The current instant in UTC, with `precision` decimal digits of a second."""

    inherit_cache = True
    type = sa.DateTime()

    def __init__(self, precision: int = 6) -> None:
        super().__init__()
        self.precision = precision


@compiles(UtcNow)
def _standard(element: UtcNow, compiler: Any, **_: Any) -> str:
    return f"timezone('utc', CURRENT_TIMESTAMP({element.precision}))"


@compiles(UtcNow, "mysql", "mariadb")
def _mysql(element: UtcNow, compiler: Any, **_: Any) -> str:
    return f"(UTC_TIMESTAMP({element.precision}))"


@compiles(UtcNow, "sqlite")
def _sqlite(element: UtcNow, compiler: Any, **_: Any) -> str:
    # SQLite's clock ends at milliseconds; the zeros make its text as long as that of every other instant.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
