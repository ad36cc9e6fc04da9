"""What is exported comes back as it was, in every format, whatever the rows hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.entities import EVERY_KIND, entity

from chatctl.services.transfer.formats import Format
from chatctl.services.transfer.readers import ReadOptions, RowSource
from chatctl.services.transfer.writers import export_rows

COLUMNS = list(EVERY_KIND.columns)
AWKWARD = [
    *("\\N", "\\\\N", "", " ", '"', "'", ",", "\t", "\n", "\r", "\r\n", "\\", "N", "null"),
    *("🙂", "é", "\ufeff", "%s", "{", "[1]", "\x7f", "\u2028", "\x85"),
]
INSTANTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))


def texts(most: int) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    awkward = st.lists(st.sampled_from(AWKWARD), max_size=4).map("".join)
    return (st.text(characters, max_size=most) | awkward).filter(lambda text: len(text) <= most)


def cut(step: int) -> st.SearchStrategy[datetime]:
    return INSTANTS.map(lambda instant: instant.replace(microsecond=instant.microsecond // step * step))


def ticks(unit: int) -> st.SearchStrategy[int]:
    least, most = -62_135_596_800 * unit, 253_402_300_800 * unit - 1
    return st.integers(least, most)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts(20)
    | st.sampled_from([{"$literal": None}, {"$literal": 1}, {"$oid": "x"}, {"$date": "2026-01-02T00:00:00Z"}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(8) | st.just("$literal"), inner, max_size=3),
    max_leaves=8,
)


def canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


ROWS = st.tuples(
    texts(64) | st.text("0123456789abcdef", min_size=24, max_size=24),
    *(
        st.none() | values
        for values in (
            texts(20),
            texts(200),
            st.integers(-(2**31), 2**31 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.booleans(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.decimals(-(10**15), 10**15, places=4),
            cut(1_000_000),
            cut(1_000),
            cut(1),
            ticks(1),
            ticks(1_000),
            ticks(1_000_000),
            JSON_VALUES.map(canonical),
            st.uuids().map(str),
        )
    ),
)


def exported(rows: list[tuple[Any, ...]], file: Path, format: Format | None = None) -> list[tuple[Any, ...]]:
    assert export_rows(rows, EVERY_KIND, COLUMNS, file, format) == len(rows)
    return imported(file, format)


def imported(file: Path, format: Format | None = None) -> list[tuple[Any, ...]]:
    chunks = list(RowSource.open([str(file)], EVERY_KIND, COLUMNS, ReadOptions(format=format)))
    assert [reject for chunk in chunks for reject in chunk.rejects] == []
    return [row for chunk in chunks for row in chunk.rows]


@pytest.mark.parametrize("format", list(Format))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(ROWS, max_size=5))
def test_any_rows_come_back_identical(rows: list[tuple[Any, ...]], format: Format, tmp_path: Path) -> None:
    assert exported(rows, tmp_path / "rows", format) == rows


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("format", list(Format))
def test_awkward_text_comes_back_identical(text: str, format: Format, tmp_path: Path) -> None:
    row = (text, text, text, *[None] * (len(COLUMNS) - 3))
    assert exported([row], tmp_path / "rows", format) == [row]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.tsv", "a.tsv.zst"])
def test_the_file_name_decides_format_and_compression(name: str, tmp_path: Path) -> None:
    rows = [(str(number), *[None] * (len(COLUMNS) - 1)) for number in range(3_000)]
    assert exported(rows, tmp_path / name) == rows


def test_a_json_null_and_no_value_stay_apart(tmp_path: Path) -> None:
    things = entity(id="text(64)", meta={"type": "json", "nullable": True})
    for name in ("a.jsonl", "a.csv"):
        export_rows([("1", "null"), ("2", None)], things, ["id", "meta"], tmp_path / name)
        (chunk,) = RowSource.open([str(tmp_path / name)], things, ["id", "meta"])
        assert chunk.rows == [("1", "null"), ("2", None)]


def test_times_are_written_in_utc_with_their_columns_precision(tmp_path: Path) -> None:
    things = entity(id="text(64)", a="datetime(0)", b="datetime(3)", c="datetime(1)", d="epoch(ms)")
    noon = datetime(2026, 1, 2, 14, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
    export_rows([("1", noon, noon, noon, noon)], things, list(things.columns), tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text() == (
        '{"id":"1","a":"2026-01-02T12:00:00Z","b":"2026-01-02T12:00:00.123Z","c":"2026-01-02T12:00:00.1Z",'
        '"d":1767355200123}\n'
    )


def test_extended_json_is_what_mongodb_takes(tmp_path: Path) -> None:
    things = entity(id="text(64)", at="datetime(3)", tick="epoch(ms)", price="decimal(9,2)", token="uuid", meta="json")
    token = "0f8fad5b-d9cb-469f-a165-70867728950e"
    instant = datetime(2026, 1, 2, tzinfo=UTC)
    row = ("585633a5c5a4e0233b9bd67b", instant, 1_767_312_000_000, Decimal("1.50"), token, '{"a": [1]}')
    export_rows([row], things, list(things.columns), tmp_path / "a", Format.BSON, {"id": "_id"})
    assert json.loads((tmp_path / "a").read_text()) == {
        "_id": {"$oid": "585633a5c5a4e0233b9bd67b"},
        "at": {"$date": "2026-01-02T00:00:00.000Z"},
        "tick": {"$date": "2026-01-02T00:00:00.000000Z"},
        "price": {"$numberDecimal": "1.50"},
        "token": {"$uuid": token},
        "meta": {"a": [1]},
    }
