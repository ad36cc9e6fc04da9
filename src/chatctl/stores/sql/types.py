"""Portable column types: one word each, the right type on every engine.

Instants are aware and UTC on Python's side. In the database they are what the application uses: a timestamp
without a zone that holds UTC, or an integer of epoch ticks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from chatctl.layouts.model import ColumnType, Kind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp that holds UTC, with `precision` decimal digits of a second.

    Binds aware datetimes (naive ones are taken as UTC), returns aware ones in UTC.
    """

    impl = sa.DateTime
    cache_ok = True

    def __init__(self, precision: int = 6) -> None:
        super().__init__()
        self.precision = precision

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """The engine's own type: DATETIME(n), TIMESTAMP(n) WITHOUT TIME ZONE, or SQLite's text."""
        variants: dict[str, TypeEngine[Any]] = {
            "mysql": mysql.DATETIME(fsp=self.precision or None),
            "mariadb": mysql.DATETIME(fsp=self.precision or None),
            "postgresql": postgresql.TIMESTAMP(timezone=False, precision=self.precision),
        }
        return dialect.type_descriptor(variants.get(dialect.name, sa.DateTime()))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """UTC without a zone, cut to the column's precision so that every engine stores the same instant."""
        if value is None:
            return None
        utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        step = 10 ** (6 - self.precision)
        return utc.replace(microsecond=utc.microsecond // step * step)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """The stored instant, aware and in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class EpochTime(TypeDecorator[datetime]):
    """An instant kept as an integer of ticks since 1970-01-01 UTC."""

    impl = sa.BigInteger
    cache_ok = True

    def __init__(self, ticks_per_second: int = 1_000) -> None:
        super().__init__()
        self.ticks_per_second = ticks_per_second

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Whole ticks; what is finer than a tick is cut off."""
        if value is None:
            return None
        return (value - _EPOCH) // timedelta(microseconds=1) * self.ticks_per_second // 1_000_000

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        """The stored instant, aware and in UTC."""
        if value is None:
            return None
        return _EPOCH + timedelta(microseconds=value * 1_000_000 // self.ticks_per_second)


def utc_datetime(precision: int = 6) -> UtcDateTime:
    """A timestamp in UTC with `precision` decimal digits of a second."""
    return UtcDateTime(precision)


def long_text() -> TypeEngine[str]:
    """Text without a practical limit (LONGTEXT where TEXT ends at 64 KiB)."""
    return sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def json_text() -> TypeEngine[Any]:
    """JSON in the engine's own type; SQLite keeps it as text."""
    return sa.JSON()


def auto_integer(*, big: bool = False) -> TypeEngine[int]:
    """An integer fit for a key that the server hands out (SQLite takes only INTEGER for that)."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite") if big else sa.Integer()


def sqlalchemy_type(declared: ColumnType) -> TypeEngine[Any]:
    """The SQLAlchemy type of a layout's column type."""
    if declared.kind is Kind.TEXT:
        return sa.String(declared.length) if declared.length else sa.Text()
    if declared.kind is Kind.DATETIME:
        return UtcDateTime(declared.precision)
    if declared.kind is Kind.EPOCH:
        return EpochTime(declared.ticks_per_second)
    if declared.kind is Kind.DECIMAL:
        precision, scale = (*(int(part) for part in declared.arguments), 18, 6)[:2]
        return sa.Numeric(precision, scale)
    plain: dict[Kind, TypeEngine[Any]] = {
        Kind.LONGTEXT: long_text(),
        Kind.INTEGER: sa.Integer(),
        Kind.BIGINT: auto_integer(big=True),
        Kind.BOOLEAN: sa.Boolean(),
        Kind.FLOAT: sa.Double(),
        Kind.JSON: json_text(),
        Kind.UUID: sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql"),
    }
    return plain[declared.kind]
