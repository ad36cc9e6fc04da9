"""Lines come out as they lie in the file, with their places, whatever the size of the blocks they are read in."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.errors import StalePlanError
from chatctl.services.transfer.lines import LineReader, LongLineError

Seen = list[tuple[Any, int, int]]


def read_all(reader: LineReader, most: int) -> Seen:
    """Each line (or the error of a long one) with the offset and line number behind what it came with."""
    seen: Seen = []
    while True:
        try:
            lines = reader.lines(most)
        except LongLineError as problem:
            seen.append((len(problem.head), reader.offset, reader.line))
            continue
        if not lines:
            return seen
        assert len(lines) <= most
        seen += [(line, reader.offset, reader.line) for line in lines]


def reader_of(data: bytes, block: int, limit: int = 1_000) -> LineReader:
    return LineReader("file", io.BytesIO(data), limit, block)


def files_of(*pieces: bytes) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(pieces), max_size=25).map(b"".join)


@given(data=files_of(b"\n", b"a", b"\xff", b"bc", b"\r\n"), most=st.integers(1, 5), block=st.integers(3, 9))
def test_the_lines_are_those_of_the_file(data: bytes, most: int, block: int) -> None:
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    reader = reader_of(data, block)
    assert [line for line, _, _ in read_all(reader, most)] == expected
    assert (reader.offset, reader.line) == (len(data), len(expected))


@given(data=files_of(b"\n", b"a", b"bcd" * 4), block=st.integers(3, 9), other=st.integers(3, 9))
def test_reading_goes_on_from_any_line(data: bytes, block: int, other: int) -> None:
    whole = read_all(reader_of(data, block, limit=10), 1)
    for done in range(len(whole) + 1):
        offset, line = whole[done - 1][1:] if done else (0, 0)
        for already_read in (0, 1):
            reader = reader_of(data, other, limit=10)
            if already_read and done and isinstance(whole[0][0], bytes):
                reader.lines(1)
            elif already_read:
                continue
            reader.skip_to(offset, line)
            assert read_all(reader, 1) == whole[done:]


@pytest.mark.parametrize("block", [3, 7, 20])
def test_a_line_beyond_the_limit_is_passed_over_and_counted(block: int) -> None:
    data = b"short\n" + b"x" * 50 + b"\nnext\n" + b"y" * 50
    seen = read_all(reader_of(data, block, limit=20), 1)
    assert [(line, number) for line, _, number in seen if isinstance(line, bytes)] == [(b"short", 1), (b"next", 3)]
    assert [(offset, number) for line, offset, number in seen if isinstance(line, int)] == [(57, 2), (112, 4)]


def test_a_byte_order_mark_is_dropped_and_counted() -> None:
    reader = reader_of(b"\xef\xbb\xbfa\nb", 4)
    assert reader.lines(1) == [b"a"]
    assert reader.offset == 5
    assert reader_of(b"\xef\xbb\xbf", 3).lines(1) == []


def test_skipping_beyond_the_end_says_that_the_file_has_changed() -> None:
    with pytest.raises(StalePlanError, match="'file' has changed"):
        reader_of(b"a\nb\n", 4).skip_to(100, 9)
