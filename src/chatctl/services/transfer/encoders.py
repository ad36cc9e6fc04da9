"""From the database's values to text: JSON fragments and CSV cells, the reverse of `values`.

An encoder takes one value that is not None; it raises one of `value_reader.UNFIT` for what its format has no word for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from chatctl.layouts.model import Column, ColumnType, Kind
from chatctl.services.transfer.cells import NULL
from chatctl.services.transfer.extended_json import LITERAL, is_object_id
from chatctl.services.transfer.instants import iso_text, unix_instant, unix_ticks
from chatctl.services.transfer.values import dump_json, refuse_constant

Encoder = Callable[[Any], str]

_load_json = json.JSONDecoder(parse_constant=refuse_constant).decode
_PLAIN_TEXT = (Kind.TEXT, Kind.LONGTEXT, Kind.UUID)


def json_encoder(column: Column, *, extended: bool) -> Encoder:
    """The JSON fragment of a column's value; `extended` writes BSON's extended forms.

    Instants are ISO 8601 in UTC with the column's precision, epoch times integers, decimals text (exact), JSON
    columns JSON, which come as JSON text or as anything else that json can write.
    """
    if extended and (encoder := _extended_encoder(column)) is not None:
        return encoder
    kind = column.type.kind
    if kind is Kind.JSON:
        return lambda value: _embedded(value, extended=extended)
    if kind in _PLAIN_TEXT or kind is Kind.FLOAT:
        return dump_json
    plain = plain_encoder(column.type)
    if kind in (Kind.DATETIME, Kind.DECIMAL):
        return lambda value: f'"{plain(value)}"'
    return plain


def cell_encoder(column: Column) -> Encoder:
    """The CSV cell of a column's value, not yet quoted; JSON columns are their JSON text."""
    if column.type.kind is Kind.JSON:
        return lambda value: value if isinstance(value, str) else dump_json(value)
    if column.type.kind in _PLAIN_TEXT:
        return _escaped
    return plain_encoder(column.type)


def plain_encoder(declared: ColumnType) -> Encoder:
    """The bare text of a number, truth value or instant."""
    if declared.kind is Kind.DATETIME:
        precision = min(declared.precision, 6)
        return lambda value: iso_text(value, precision)
    if declared.kind is Kind.EPOCH:
        unit = declared.ticks_per_second
        return lambda value: str(unix_ticks(value, unit) if isinstance(value, datetime) else value)
    if declared.kind is Kind.BOOLEAN:
        return lambda value: "true" if value else "false"
    if declared.kind is Kind.DECIMAL:
        return lambda value: f"{Decimal(value):f}"
    return repr if declared.kind is Kind.FLOAT else str


def _extended_encoder(column: Column) -> Encoder | None:
    declared = column.type
    if declared.kind is Kind.DATETIME:
        precision = min(declared.precision, 6)
        return lambda value: f'{{"$date":"{iso_text(value, precision)}"}}'
    if declared.kind is Kind.EPOCH:
        unit = declared.ticks_per_second
        return lambda value: f'{{"$date":"{iso_text(_instant(value, unit), 6)}"}}'
    if declared.kind is Kind.DECIMAL:
        return lambda value: f'{{"$numberDecimal":"{Decimal(value):f}"}}'
    if declared.kind is Kind.UUID:
        return lambda value: f'{{"$uuid":"{value}"}}'
    if declared.kind is Kind.TEXT and (column.primary or column.references):
        return lambda value: f'{{"$oid":"{value}"}}' if is_object_id(value) else dump_json(value)
    return None


def _instant(value: Any, unit: int) -> datetime:
    return value if isinstance(value, datetime) else unix_instant(value, unit)


def _embedded(value: Any, *, extended: bool) -> str:
    if isinstance(value, str):
        value = _load_json(value)
    text = dump_json(value)
    looks_special = value is None or (isinstance(value, dict) and set(value) == {LITERAL})
    if looks_special or (extended and '"$' in text):
        return f'{{"{LITERAL}":{text}}}'
    return text


def _escaped(value: str) -> str:
    if value[:1] == "\\" and value.lstrip("\\") == NULL[1:]:
        return "\\" + value
    return value
