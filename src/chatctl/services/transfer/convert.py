"""From a record of a file to a row of the database: which field feeds which column, and what may be missing.

`RowConverter` is compiled once for an entity. A chunk is converted column by column, which runs at C speed; only a
chunk in which something doesn't fit is gone through row by row, to tell the rows that fit from those that don't.
Knows no files and no formats.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from chatctl.errors import MissingEntityError, UsageError
from chatctl.layouts.model import Column, Entity, Kind
from chatctl.services.transfer.unfit import RowError, UnfitError
from chatctl.services.transfer.value_reader import UNFIT
from chatctl.services.transfer.values import reader_of

#: What a MongoDB export calls a document's key.
_MONGO_ID = "_id"


class _Missing:
    """Stands for a field that a record lacks; no reader takes it."""


MISSING = _Missing()


class Field:
    """One column, and the fields of a record that may feed it, the one that counts first."""

    def __init__(self, key: str, column: Column, sources: Sequence[str], *, extended: bool) -> None:
        self.key = key
        self.name = column.name
        self.sources = tuple(sources)
        self.reader = reader_of(column.type, choices=column.choices, extended=extended)
        # The server hands out the number of an `auto` column, so a row may come without one.
        self.nullable = column.nullable or column.auto
        self.absent = self._absent(column.default)

    def _absent(self, default: Any) -> Any:
        """What a record that lacks the field gets; a default that only the server can work out is none."""
        absent: Any = None if self.nullable else MISSING
        try:
            value = self.reader.cell(default) if isinstance(default, str) else default
            return absent if value is None or self.reader.one(value) is None else value
        except UNFIT:
            return absent

    def one(self, value: Any) -> Any:
        """The column's value for `value`; raises RowError with the reason."""
        if value is MISSING:
            raise RowError(f"{self.name} is missing")
        if value is None:
            if self.nullable:
                return None
            raise RowError(f"{self.name} is null")
        try:
            return self.reader.one(value)
        except UnfitError as problem:
            raise RowError(f"{self.name} {problem}") from problem
        except UNFIT as problem:
            raise RowError(f"{self.name} {self.reader.refusal()}") from problem

    def many(self, values: Sequence[Any]) -> Sequence[Any]:
        """The column's values for `values`; raises one of UNFIT where any of them doesn't fit."""
        nulls = values.count(None) if self.nullable else 0
        if nulls == 0:
            return self.reader.many(values)
        if nulls == len(values):
            return values
        present = iter(self.reader.many([value for value in values if value is not None]))
        return [None if value is None else next(present) for value in values]


class RowConverter:
    """Makes rows of records: tuples in the order of `columns`, the keys of the table's columns.

    Values: str for text, UUID (canonical) and JSON (compact text), int for integers and epoch times (the column's
    ticks), naive datetime in UTC for datetimes, bool, float, Decimal, None.
    """

    def __init__(
        self,
        entity: Entity,
        columns: Sequence[str],
        renames: Mapping[str, str] | None = None,
        *,
        extended: bool = False,
        omittable: Collection[str] = (),
    ) -> None:
        """`renames` maps a file's field to a column's key or name; raises UsageError where there is no such column.

        A column is fed by the field renamed to it, else by the one called as the application calls the column, else
        by chatctl's key; a table's one text key also by `_id`. Columns that are `omittable` (an INSERT that doesn't
        name them leaves them empty) can be left out of the rows of records that lack them.
        """
        self.columns = tuple(columns)
        sources = {key: [entity.columns[key].name, key] for key in columns if key in entity.columns}
        if len(sources) < len(self.columns):
            unknown = next(key for key in columns if key not in sources)
            raise MissingEntityError(f"'{entity.table}' has no column '{unknown}' in the layout.")
        for field, target in (renames or {}).items():
            sources[_key_of(entity, sources, target)].insert(0, field)
        if entity.primary_key == ["id"] and "id" in sources and _is_text(entity.columns["id"]):
            sources["id"].append(_MONGO_ID)
        self.fields = [
            Field(key, entity.columns[key], list(dict.fromkeys(sources[key])), extended=extended) for key in columns
        ]
        self.exact_numbers = any(entity.columns[key].type.kind is Kind.DECIMAL for key in columns)
        self._omittable = [field for field in self.fields if field.key in omittable and field.absent is None]
        self._known = {source for field in self.fields for source in field.sources}

    def fields_in(self, names: Collection[str]) -> list[Field]:
        """The fields that rows need whose records have no others than `names`."""
        absent = [field for field in self._omittable if not any(source in names for source in field.sources)]
        return [field for field in self.fields if field not in absent]

    def row(self, record: Mapping[str, Any], fields: Sequence[Field] | None = None) -> tuple[Any, ...]:
        """The row of one record, of `fields` alone if given; raises RowError with the first reason for none."""
        return tuple([field.one(_first(record, field)) for field in fields or self.fields])

    def rows(
        self, records: Sequence[dict[str, Any]], names: set[str], fields: Sequence[Field] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of many records, `names` being all their fields; raises one of UNFIT where any doesn't fit."""
        chosen = fields or self.fields
        return join(chosen, _columns(chosen, records, names))

    def unknown(self, names: set[str]) -> set[str]:
        """Those of a record's fields that feed no column."""
        return names - self._known


def compile_row(
    entity: Entity, columns: Sequence[str], renames: Mapping[str, str] | None = None
) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """A function from a record to a row, see RowConverter; it raises RowError where the record doesn't fit."""
    return RowConverter(entity, columns, renames).row


def join(fields: Sequence[Field], columns: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows out of whole columns of values, in the order of `fields`; raises one of UNFIT."""
    converted = [field.many(values) for field, values in zip(fields, columns, strict=True)]
    return list(zip(*converted, strict=True))


def _columns(fields: Sequence[Field], records: Sequence[dict[str, Any]], present: set[str]) -> Iterable[Sequence[Any]]:
    """The values of each field."""
    sources = [[source for source in field.sources if source in present] for field in fields]
    if len(fields) > 1 and records and all(len(found) == 1 for found in sources):
        try:
            return list(zip(*map(itemgetter(*(found[0] for found in sources)), records), strict=True))
        except KeyError:
            pass  # not all records have all fields
    return [_column(field, found, records) for field, found in zip(fields, sources, strict=True)]


def _column(field: Field, sources: Sequence[str], records: Sequence[dict[str, Any]]) -> Sequence[Any]:
    if not sources:
        return [field.absent] * len(records)
    if len(sources) == 1:
        source, absent = sources[0], field.absent
        return [record.get(source, absent) for record in records]
    return [_first(record, field) for record in records]


def _first(record: Mapping[str, Any], field: Field) -> Any:
    for source in field.sources:
        if source in record:
            return record[source]
    return field.absent


def _key_of(entity: Entity, keys: Iterable[str], target: str) -> str:
    for key in keys:
        if target in (entity.columns[key].name, key):
            return key
    names = ", ".join(entity.columns[key].name for key in keys)
    raise UsageError(f"There is no column '{target}' to map to.", hint=f"'{entity.table}' has: {names}.")


def _is_text(column: Column) -> bool:
    return column.type.kind in (Kind.TEXT, Kind.LONGTEXT)
