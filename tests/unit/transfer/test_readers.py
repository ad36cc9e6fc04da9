"""Files become rows and rejects, and an import that was killed goes on where it stopped."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.support.entities import MESSAGES, entity
from tests.support.sample import sample_messages

from chatctl.errors import InputFileError, NotFoundError, RefusedError, StalePlanError, UsageError
from chatctl.services.transfer.formats import Format
from chatctl.services.transfer.lines import LINE_LIMIT
from chatctl.services.transfer.readers import Position, ReadOptions, RowSource

THINGS = entity(id="text(64)", name={"type": "text(9)", "nullable": True}, size={"type": "integer", "nullable": True})
COLUMNS = ["id", "name", "size"]
Row = tuple[Any, ...]


def source(*files: Path | str, options: ReadOptions | None = None, **more: Any) -> RowSource:
    return RowSource.open([str(file) for file in files], THINGS, COLUMNS, options, **more)


def rows_of(rows: RowSource) -> list[Row]:
    return [row for chunk in rows for row in chunk.rows]


def rejects_of(rows: RowSource) -> list[tuple[int, str]]:
    return [(reject.line, reject.reason) for chunk in rows for reject in chunk.rejects]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# --- JSON lines ---------------------------------------------------------------------------------------------


def test_bad_lines_are_rejected_with_number_reason_and_text_and_the_rest_is_taken(tmp_path: Path) -> None:
    lines = [
        b'{"id": "1", "size": 5}',
        b'{"id": "2", "size": "many"}',
        b'{"id": "3", ',
        b"",
        b"[1]",
        b'{"id": "\xff"}',
        b'{"id": "6"} {"id": "7"}',
        b'{"id": "8", "size": NaN}',
        b"[" * 100_000,
        b'{"name": "x"}',
        b'{"id": "11"}\r',
    ]
    (chunk,) = source(write(tmp_path / "a.jsonl", b"\n".join(lines)))
    assert chunk.rows == [("1", None, 5), ("11", None, None)]
    assert [(reject.line, reject.reason) for reject in chunk.rejects] == [
        (2, "size is not an integer"),
        (3, "is not JSON: Expecting property name enclosed in double quotes, column 13"),
        (5, "is not a JSON object"),
        (6, "is not UTF-8"),
        (7, "is not JSON: Extra data, column 13"),
        (8, "is not JSON: NaN isn't JSON"),
        (9, "is nested too deeply"),
        (10, "id is missing"),
    ]
    assert chunk.rejects[0].raw == '{"id": "2", "size": "many"}'
    assert chunk.rejects[0].file == str(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    "lines",
    [
        ['{"id": "1"},{"id": "2"}', '{"id": "3"', '"name": "x"}'],
        ['{"id": "1", "name": ["a"', '"b"]}', '{"id": "2"}, {"id": "3"}'],
        ['{"id": "1", "name": ["a"', '"b"]}', '{"id": "2"},"x",{"id": "3"}'],
        ['{"id": "1"}', '"mark"', '{"id": "3"}'],
    ],
)
def test_broken_lines_that_make_sense_together_are_still_broken(lines: list[str], tmp_path: Path) -> None:
    rows = source(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert len(rejects_of(rows)) == sum(not is_object(line) for line in lines)


def is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def test_unknown_fields_are_counted_by_name(tmp_path: Path) -> None:
    rows = source(write(tmp_path / "a.jsonl", '{"id":"1","x":1}\n{"id":"2","x":2,"y":3}\n{"id":"3"}'))
    assert len(rows_of(rows)) == 3
    assert rows.unknown_fields == {"x": 2, "y": 1}


def test_numbers_of_a_decimal_column_stay_exact(tmp_path: Path) -> None:
    prices = entity(id="text(9)", price="decimal(30,20)", meta="json")
    file = write(tmp_path / "a.jsonl", '{"id":"1","price":0.12345678901234567890,"meta":[0.5]}')
    (chunk,) = RowSource.open([str(file)], prices, ["id", "price", "meta"])
    assert str(chunk.rows[0][1]) == "0.12345678901234567890"
    assert chunk.rows[0][2] == "[0.5]"


def test_one_json_array_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="one JSON array") as problem:
        rows_of(source(write(tmp_path / "a.json", ' [{"id": "1"}]')))
    assert "jq" in (problem.value.hint or "")


def test_a_line_beyond_the_limit_is_rejected_and_memory_stays_bounded(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    with file.open("wb") as stream:
        stream.write(b'{"id": "1"}\n{"id": "')
        for _ in range(6):
            stream.write(b"x" * (LINE_LIMIT // 2))
        stream.write(b'"}\n{"id": "3"}\n')
    tracemalloc.start()
    try:
        chunks = list(source(file))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [row[0] for chunk in chunks for row in chunk.rows] == ["1", "3"]
    assert [(r.line, r.reason, len(r.raw)) for c in chunks for r in c.rejects] == [(2, "is longer than 16 MiB", 1_000)]
    assert chunks[-1].position == Position(0, file.stat().st_size, 3)
    assert peak < 2.5 * LINE_LIMIT


# --- CSV and TSV --------------------------------------------------------------------------------------------


def test_csv_values_may_hold_newlines_quotes_and_commas(tmp_path: Path) -> None:
    text = 'size,id,name\r\n5,1,"a\nb"\r\n\\N,"2,""x""",\\N\r\n,3,\r\n7,4,\\\\N\r\n'
    rows = rows_of(source(write(tmp_path / "a.csv", text)))
    assert rows == [("1", "a\nb", 5), ('2,"x"', None, None), ("3", "", None), ("4", "\\N", 7)]


def test_an_empty_cell_is_no_value_in_text_columns_on_request(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "id,name,size\n1,,\n")
    assert rows_of(source(file, options=ReadOptions(empty_is_null=True))) == [("1", None, None)]


def test_tsv_is_parted_by_tabs(tmp_path: Path) -> None:
    assert rows_of(source(write(tmp_path / "a.tsv", 'id\tname\n1\t"a\tb"\n2\ta,b'))) == [
        ("1", "a\tb", None),
        ("2", "a,b", None),
    ]


def test_bad_records_are_rejected_with_their_first_line_and_their_text(tmp_path: Path) -> None:
    text = b'id,name,size\n1,"a\nb",x\n2,a,1,9\n\n3,a\xff,1\n4,"a"b,1\n5,a\x00,1\n6,a,1\n7,"unclosed\nto the end'
    (chunk,) = source(write(tmp_path / "a.csv", text))
    assert chunk.rows == [("6", "a", 1)]
    assert [(reject.line, reject.reason) for reject in chunk.rejects] == [
        (2, "size is not an integer"),
        (4, "has 4 cells under a header of 3"),
        (6, "name holds bytes that aren't UTF-8"),
        (7, "is no record: ',' expected after '\"'"),
        (8, "name holds a NUL character"),
        (10, "is no record: unexpected end of data"),
    ]
    assert chunk.rejects[0].raw == '1,"a\nb",x'


@pytest.mark.parametrize(
    ("header", "message"),
    [("name,size", "has no 'id'"), ("id,name,id", "names 'id' twice"), ('id,"na', "no readable header")],
)
def test_a_header_that_cannot_be_used_is_refused_before_any_row(header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=message):
        rows_of(source(write(tmp_path / "a.csv", f"{header}\n1,2,3\n")))


def test_header_columns_can_be_mapped_and_unknown_ones_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "\ufeffkey, name,colour\n1,a,red\n2,b,blue\n")
    rows = source(file, options=ReadOptions(renames={"key": "id"}))
    assert rows_of(rows) == [("1", "a", None), ("2", "b", None)]
    assert rows.unknown_fields == {"colour": 2}


def test_json_in_a_cell_is_checked(tmp_path: Path) -> None:
    things = entity(id="text(9)", meta={"type": "json", "nullable": True})
    file = write(tmp_path / "a.csv", 'id,meta\n1,"{""a"": 1}"\n2,{a}\n3,\n')
    (chunk,) = RowSource.open([str(file)], things, ["id", "meta"])
    assert chunk.rows == [("1", '{"a":1}'), ("3", None)]
    assert [reject.reason for reject in chunk.rejects] == ["meta is not JSON"]


def test_a_record_beyond_the_limit_is_rejected(tmp_path: Path) -> None:
    long = ("x" * 1_000 + "\n") * (LINE_LIMIT // 1_000 + 1)
    file = write(tmp_path / "a.csv", f'id,name\n1,a\n2,"{long}"\n')
    rows = source(file)
    reasons = rejects_of(rows)
    assert reasons[0] == (3, "is longer than 16 MiB")
    assert rows_of(rows) == [("1", "a", None)]


# --- compression and streams --------------------------------------------------------------------------------

PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]),
    "zstd": lambda data: zstandard.compress(data[:7]) + zstandard.compress(data[7:]),
}
TWO = b'{"id": "1"}\n{"id": "2"}\n'


@pytest.mark.parametrize("packing", PACK)
def test_compression_is_told_by_the_first_bytes_not_by_the_name(packing: str, tmp_path: Path) -> None:
    assert rows_of(source(write(tmp_path / "a.jsonl", PACK[packing](TWO)))) == [("1", None, None), ("2", None, None)]


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_compressed_data_that_is_cut_off_or_damaged_is_an_error(packing: str, tmp_path: Path) -> None:
    packed = PACK[packing](TWO * 1_000)
    with pytest.raises(InputFileError, match="ends in the middle"):
        rows_of(source(write(tmp_path / "cut.jsonl", packed[:-6])))
    damaged = packed[:-12] + bytes(byte ^ 0xFF for byte in packed[-12:])
    with pytest.raises(InputFileError):
        rows_of(source(write(tmp_path / "damaged.jsonl", damaged)))


def test_standard_input_is_read_once_and_compressed_or_not() -> None:
    for pack in PACK.values():
        assert len(rows_of(source("-", stdin=io.BytesIO(pack(TWO))))) == 2


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = b'{"id": "1"}\n' * 50_000
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    rows = rows_of(source(pipe, options=ReadOptions(format=Format.JSONL)))
    writer.join()
    assert len(rows) == 50_000


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.jsonl"):
        source(tmp_path / "none.jsonl")
    with pytest.raises(RefusedError, match="directory"):
        source(tmp_path, options=ReadOptions(format=Format.CSV))
    with pytest.raises(UsageError, match="doesn't tell its format"):
        source(write(tmp_path / "a.txt", TWO))
    with pytest.raises(InputFileError, match="UTF-16"):
        source(write(tmp_path / "a.csv", "id,name".encode("utf-16")))


def test_empty_files_hold_no_rows(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv"):
        assert rows_of(source(write(tmp_path / name, ""))) == []


# --- resuming -----------------------------------------------------------------------------------------------


def some_files(folder: Path) -> list[Path]:
    lines = "".join(f'{{"id": "{number}", "size": {number}}}\n' for number in range(40))
    bad = lines.replace('"size": 7}', '"size": "x"}').replace('"size": 23}', '"size"').replace("\n", "\n\n", 3)
    records = "id,name,size\r\n" + "".join(f'{number},"a\nb",{number}\r\n' for number in range(40))
    return [
        write(folder / "a.jsonl", b"\xef\xbb\xbf" + bad.encode()),
        write(folder / "b.jsonl.gz", gzip.compress(lines.encode())),
        write(folder / "c.csv", "\ufeff" + records.replace(",8\r", ",x\r").removesuffix("\r\n")),
        write(folder / "d.csv.zst", zstandard.compress(records.encode())),
    ]


@pytest.mark.parametrize("chunk_rows", [1, 3, 7])
def test_an_import_goes_on_from_any_position_with_nothing_lost_or_doubled(chunk_rows: int, tmp_path: Path) -> None:
    files = some_files(tmp_path)
    options = ReadOptions(chunk_rows=chunk_rows)
    first = source(*files, options=options)
    chunks = list(first)
    assert sum(len(chunk.rows) for chunk in chunks) == 157
    for done, chunk in enumerate(chunks, 1):
        start = Position.from_json(json.loads(json.dumps(chunk.position.to_json())))
        rest = source(*files, options=options, start=start, identities=first.identities)
        assert list(rest) == chunks[done:]


def test_the_chunk_size_changes_neither_rows_nor_rejects(tmp_path: Path) -> None:
    files = some_files(tmp_path)
    results = []
    for chunk_rows in (1, 6, 5_000):
        chunks = list(source(*files, options=ReadOptions(chunk_rows=chunk_rows)))
        assert all(len(chunk.rows) <= chunk_rows for chunk in chunks)
        results.append(
            ([row for chunk in chunks for row in chunk.rows], [reject for chunk in chunks for reject in chunk.rejects])
        )
    assert results[0] == results[1] == results[2]


def test_standard_input_given_again_is_skipped_to_the_position() -> None:
    data = b"".join(b'{"id": "%d"}\n' % number for number in range(10))
    first = source("-", options=ReadOptions(chunk_rows=4), stdin=io.BytesIO(data))
    start = next(iter(first)).position
    again = source("-", stdin=io.BytesIO(data), start=start, identities=first.identities)
    assert [row[0] for row in rows_of(again)] == ["4", "5", "6", "7", "8", "9"]


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", TWO)
    before = source(file).identities
    os.utime(file, (1, 1))
    with pytest.raises(StalePlanError, match="has changed"):
        source(file, identities=before)
    with pytest.raises(StalePlanError):
        source(file, file, identities=before)


def test_a_file_cut_short_while_its_import_was_stopped_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", TWO)
    with pytest.raises(StalePlanError, match="has changed"):
        list(source(file, start=Position(0, 1_000, 50)))


# --- the real thing -----------------------------------------------------------------------------------------


def test_the_sample_of_real_messages_is_taken_without_a_reject() -> None:
    rows = RowSource.open([str(sample_messages())], MESSAGES, list(MESSAGES.columns))
    chunks = list(rows)
    assert sum(len(chunk.rows) for chunk in chunks) == 48_131
    assert len({row[0] for chunk in chunks for row in chunk.rows}) == 48_126
    assert not rows.unknown_fields
    assert not [reject for chunk in chunks for reject in chunk.rejects]
