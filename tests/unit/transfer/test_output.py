"""An exported file appears whole or not at all."""

from __future__ import annotations

import gzip
import io
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.entities import entity

from chatctl.errors import IntegrityError, NotFoundError, RefusedError, UsageError
from chatctl.services.transfer.formats import Compression, Format, compression_by_name, format_of
from chatctl.services.transfer.output import packed
from chatctl.services.transfer.writers import RowWriter, export_rows, write_rows

THINGS = entity(id="text(9)", meta={"type": "json", "nullable": True}, ratio={"type": "float", "nullable": True})
COLUMNS = list(THINGS.columns)


def test_an_export_that_fails_leaves_what_stood_there(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(5_000):
            yield (str(number), None, None)
        raise KeyboardInterrupt

    file = tmp_path / "a.jsonl.gz"
    file.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        export_rows(rows(), THINGS, COLUMNS, file)
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "a.jsonl.zst", "a.csv"):
        contents = []
        for _ in range(2):
            export_rows([("1", "{}", 0.5)], THINGS, COLUMNS, tmp_path / name)
            contents.append((tmp_path / name).read_bytes())
        assert contents[0] == contents[1]


def test_rows_can_go_to_a_stream_that_stays_open() -> None:
    stream = io.BytesIO()
    with packed(stream, Compression.GZIP) as inner:
        assert write_rows([("1", "[1, 2]", None)], RowWriter(inner, THINGS, COLUMNS, Format.CSV)) == 1
    assert gzip.decompress(stream.getvalue()) == b'id,meta,ratio\r\n1,"[1, 2]",\\N\r\n'


def test_json_text_with_newlines_stays_on_its_line(tmp_path: Path) -> None:
    export_rows([("1", '{\n "a": 1\n}', None)], THINGS, COLUMNS, tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text() == '{"id":"1","meta":{"a":1},"ratio":null}\n'


def test_a_value_that_has_no_word_in_the_format_is_named(tmp_path: Path) -> None:
    for bad in (("2", "{not json", None), ("2", None, float("nan"))):
        with pytest.raises(IntegrityError, match=r"(meta|ratio) of row 2 can't be written"):
            export_rows([("1", None, None), bad], THINGS, COLUMNS, tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_or_closed_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="none"):
        export_rows([], THINGS, COLUMNS, tmp_path / "none" / "a.jsonl")
    with pytest.raises(RefusedError):
        export_rows([], THINGS, COLUMNS, tmp_path / ("x" * 300 + ".jsonl"))


def test_a_file_that_outgrows_what_it_may_is_refused_and_removed(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(RefusedError, match=r"a\.jsonl"):
            export_rows([("1", None, None)] * 100_000, THINGS, COLUMNS, tmp_path / "a.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "format", "compression"),
    [
        ("a.jsonl", Format.JSONL, Compression.NONE),
        ("a.NDJSON.GZ", Format.JSONL, Compression.GZIP),
        ("a.json.zst", Format.JSONL, Compression.ZSTD),
        ("b.2026.csv.zstd", Format.CSV, Compression.ZSTD),
        ("a.tsv", Format.TSV, Compression.NONE),
        ("-", Format.JSONL, Compression.NONE),
    ],
)
def test_a_name_tells_format_and_compression(name: str, format: Format, compression: Compression) -> None:
    assert (format_of(name), compression_by_name(name)) == (format, compression)
    assert format_of(name, Format.BSON) is Format.BSON


@pytest.mark.parametrize("name", ["a", "a.gz", "a.txt", "jsonl"])
def test_a_name_that_tells_no_format_needs_one_chosen(name: str) -> None:
    with pytest.raises(UsageError, match="doesn't tell its format") as problem:
        format_of(name)
    assert "--format" in (problem.value.hint or "")
