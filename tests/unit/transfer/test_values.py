"""What each kind of column takes, what it makes of it, and what it refuses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.layouts import ColumnType
from chatctl.services.transfer.unfit import UnfitError
from chatctl.services.transfer.value_reader import UNFIT
from chatctl.services.transfer.values import reader_of

NOON = datetime(2026, 1, 2, 12)
TAKEN = [
    ("text(5)", "héllo", "héllo"),
    ("text(5)", "🙂🙂🙂🙂🙂", "🙂🙂🙂🙂🙂"),
    ("text(5)", "", ""),
    ("text(5)", 123, "123"),
    ("text(64)", {"$oid": "585633A5c5a4e0233b9bd67b"}, "585633a5c5a4e0233b9bd67b"),
    ("text(64)", {"$numberLong": "12"}, "12"),
    ("integer", 2**31 - 1, 2**31 - 1),
    ("integer", "-7", -7),
    ("integer", " 7.00", 7),
    ("integer", 7.0, 7),
    ("integer", {"$numberInt": "7"}, 7),
    ("bigint", -(2**63), -(2**63)),
    ("bigint", {"$numberLong": "9007199254740993"}, 9007199254740993),
    ("boolean", True, True),
    ("boolean", 0, False),
    ("boolean", "TRUE", True),
    ("boolean", "f", False),
    ("float", 3, 3.0),
    ("float", "1e3", 1000.0),
    ("float", {"$numberDouble": "2.5"}, 2.5),
    ("decimal(5,2)", "999.99", Decimal("999.99")),
    ("decimal(5,2)", 0.1, Decimal("0.1")),
    ("decimal(5,2)", "1.500", Decimal("1.500")),
    ("decimal(38,10)", "1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
    ("decimal(5,2)", {"$numberDecimal": "12.34"}, Decimal("12.34")),
    ("datetime(3)", "2026-01-02T12:00:00.123999Z", NOON.replace(microsecond=123_000)),
    ("datetime(0)", "2026-01-02T12:00:00.9Z", NOON),
    ("datetime(3)", "2026-01-02 12:00:00", NOON),
    ("datetime(3)", "2026-01-02T14:00:00+02:00", NOON),
    ("datetime(3)", "2026-01-02t12:00:00z", NOON),
    ("datetime(3)", "2026-01-02", datetime(2026, 1, 2)),
    ("datetime(3)", "20260102", datetime(2026, 1, 2)),
    ("datetime(3)", 1_767_355_200, NOON),
    ("datetime(3)", 1_767_355_200_000, NOON),
    ("datetime(3)", "1767355200", NOON),
    ("datetime(3)", "1612121212345", datetime(2021, 1, 31, 19, 26, 52, 345_000)),
    ("datetime(3)", 1_767_355_200.25, NOON.replace(microsecond=250_000)),
    ("datetime(3)", -0.001, datetime(1969, 12, 31, 23, 59, 59, 999_000)),
    ("datetime(3)", {"$date": "2026-01-02T12:00:00Z"}, NOON),
    ("datetime(3)", {"$date": 1_767_355_200_000}, NOON),
    ("datetime(3)", {"$date": {"$numberLong": "-1"}}, datetime(1969, 12, 31, 23, 59, 59, 999_000)),
    ("datetime(6)", "0001-01-01T00:00:00Z", datetime.min),
    ("datetime(6)", "9999-12-31T23:59:59.999999Z", datetime.max),
    ("epoch(ms)", 1_767_355_200_000, 1_767_355_200_000),
    ("epoch(s)", 12, 12),
    ("epoch(s)", "20260102", 20_260_102),
    ("epoch(s)", 12.9, 12),
    ("epoch(s)", -0.5, -1),
    ("epoch(ms)", "2026-01-02T12:00:00.5Z", 1_767_355_200_500),
    ("epoch(us)", {"$date": 1_767_355_200_000}, 1_767_355_200_000_000),
    ("uuid", "0F8FAD5B-D9CB-469F-A165-70867728950E", "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ("uuid", {"$uuid": "0f8fad5bd9cb469fa16570867728950e"}, "0f8fad5b-d9cb-469f-a165-70867728950e"),
    (
        "uuid",
        {"$binary": {"base64": "D4+tW9nLRp+hZXCGdyiVDg==", "subType": "04"}},
        "0f8fad5b-d9cb-469f-a165-70867728950e",
    ),
    ("uuid", {"$binary": "D4+tW9nLRp+hZXCGdyiVDg==", "$type": "04"}, "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ("json", {"b": 1.0, "a": ["é", None]}, '{"b":1.0,"a":["é",null]}'),
    ("json", "text", '"text"'),
    ("json", "a\\u0000 spelled out", '"a\\\\u0000 spelled out"'),
    ("json", {"$date": "2026-01-02"}, '{"$date":"2026-01-02"}'),
    ("json", {"$literal": None}, "null"),
]
REFUSED = [
    ("text(5)", "sixsix", "is longer than 5 characters"),
    ("text(5)", True, "is not text"),
    ("text(5)", 1.5, "is not text"),
    ("text(5)", ["a"], "is not text"),
    ("text(5)", {"a": 1}, "is not text"),
    ("text(5)", "a\0b", "holds a NUL character"),
    ("text(5)", "a\ud800b", "holds a lone surrogate, half of a character"),
    ("text(5)", "a\udcffb", "holds bytes that aren't UTF-8"),
    ("text(64)", {"$oid": "xyz"}, "holds a broken $oid"),
    ("integer", 2**31, "is out of range (-2147483648 to 2147483647)"),
    ("integer", "7.5", "is not an integer"),
    ("integer", "1_000", "is not an integer"),
    ("integer", "٧", "is not an integer"),
    ("integer", True, "is not an integer"),
    ("integer", float("inf"), "is not an integer"),
    ("bigint", 2**63, "is out of range (-9223372036854775808 to 9223372036854775807)"),
    ("boolean", 2, "is not true or false"),
    ("boolean", "yes", "is not true or false"),
    ("boolean", 1.0, "is not true or false"),
    ("float", float("nan"), "is not a finite number"),
    ("float", "-inf", "is not a finite number"),
    ("float", 10**400, None),
    ("float", "1_0", None),
    ("float", {"$numberDouble": "Infinity"}, "is not a finite number"),
    ("decimal(5,2)", "1000", "is out of range (below 1000)"),
    ("decimal(5,2)", "1.001", "has more than 2 decimals"),
    ("decimal(5,2)", "NaN", "is not a decimal number"),
    ("decimal(5,2)", "1e999999", "is out of range (below 1000)"),
    ("datetime(3)", "yesterday", "is not a time"),
    ("datetime(3)", "2026-02-30", "is not a time"),
    ("datetime(3)", "2026-01-02T12:00:00+00:00Z", "is not a time"),
    ("datetime(3)", "10000-01-01T00:00:00Z", "is not a time"),
    ("datetime(3)", "0001-01-01T00:00:00+05:00", "is out of the years 1 to 9999"),
    ("datetime(3)", 10**18, "is out of the years 1 to 9999"),
    ("datetime(3)", True, "is not a time"),
    ("datetime(3)", "", "is not a time"),
    ("datetime(3)", float("nan"), "is out of the years 1 to 9999"),
    ("datetime(3)", {"$date": "soon"}, "holds a broken $date"),
    ("epoch(s)", 10**12, "is out of the years 1 to 9999"),
    ("uuid", "not-one", "is not a UUID"),
    ("uuid", 5, "is not a UUID"),
    ("uuid", {"$binary": {"base64": "AAAA", "subType": "03"}}, "holds binary data of subtype 03"),
    ("json", float("inf"), None),
    ("json", "a\0b", "holds a NUL character"),
    ("json", {"a\ud800": 1}, "holds a lone surrogate, half of a character"),
]


@pytest.mark.parametrize(("declared", "value", "expected"), TAKEN)
def test_a_value_becomes_what_the_database_takes(declared: str, value: Any, expected: Any) -> None:
    reader = reader_of(ColumnType.parse(declared))
    assert reader.one(value) == expected
    assert type(reader.one(value)) is type(expected)
    assert list(reader.many([value, value])) == [expected, expected]


@pytest.mark.parametrize(("declared", "value", "reason"), REFUSED)
def test_a_value_that_does_not_fit_is_refused_with_its_reason(declared: str, value: Any, reason: str | None) -> None:
    reader = reader_of(ColumnType.parse(declared))
    with pytest.raises(UNFIT) as problem:
        reader.one(value)
    if reason is not None:
        assert str(problem.value if isinstance(problem.value, UnfitError) else reader.refusal()) == reason
    with pytest.raises(UNFIT):
        reader.many([value])


@given(
    declared=st.sampled_from(["text(3)", "longtext", "integer", "bigint", "boolean", "datetime(3)", "epoch(ms)"]),
    values=st.lists(
        st.text(max_size=4)
        | st.integers()
        | st.booleans()
        | st.floats()
        | st.datetimes().map(lambda instant: instant.isoformat() + "Z")
        | st.datetimes().map(lambda instant: instant.isoformat() + "+01:00Z")
        | st.datetimes().map(datetime.isoformat)
        | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
        | st.dictionaries(st.just("$date"), st.integers()),
        max_size=6,
    ),
)
def test_a_whole_column_is_taken_as_its_values_are_one_by_one(declared: str, values: list[Any]) -> None:
    reader = reader_of(ColumnType.parse(declared))
    try:
        one_by_one = [reader.one(value) for value in values]
    except UNFIT:
        with pytest.raises(UNFIT):
            reader.many(values)
    else:
        assert list(reader.many(values)) == one_by_one


def test_extended_json_inside_a_json_column_is_made_plain_where_that_is_the_format() -> None:
    reader = reader_of(ColumnType.parse("json"), extended=True)
    value = {"at": {"$date": "2026-01-02T12:00:00Z"}, "n": [{"$numberLong": "5"}, {"$oid": "0" * 24}]}
    assert reader.one(value) == '{"at":"2026-01-02T12:00:00.000Z","n":[5,"000000000000000000000000"]}'
    assert reader.one({"$literal": value["n"]}) == '[{"$numberLong":"5"},{"$oid":"000000000000000000000000"}]'
