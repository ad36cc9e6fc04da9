"""Chunks come in order, with what went wrong in its place, whether they are read ahead or not."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from tests.support.entities import MESSAGES
from tests.support.transfers import message, write_lines

from chatctl.domain.progress import StopSignal
from chatctl.errors import InputFileError, InterruptedRunError
from chatctl.services.transfer.prefetch import Chunks, Prefetched, chunks_of
from chatctl.services.transfer.readers import ReadOptions, RowSource

SMALL = ReadOptions(chunk_rows=10)


def source_of(*files: Path, options: ReadOptions = SMALL) -> RowSource:
    return RowSource.open([str(file) for file in files], MESSAGES, list(MESSAGES.columns), options)


def ids(chunks: Chunks) -> list[str]:
    found = []
    while (chunk := chunks.take()) is not None:
        found += [row[0] for row in chunk.rows]
    return found


@pytest.mark.parametrize("beside_server", [False, True])
def test_chunks_come_in_order_and_end(tmp_path: Path, beside_server: bool) -> None:
    file = write_lines(tmp_path / "m.jsonl", map(message, range(95)))
    with chunks_of(source_of(file), StopSignal(), beside_server=beside_server) as chunks:
        first = chunks.peek()
        assert first is not None
        assert first is chunks.peek()
        assert ids(chunks) == [f"m{number:08d}" for number in range(95)]
        assert chunks.ready
        assert chunks.peek() is chunks.take() is None


@pytest.mark.parametrize("beside_server", [False, True])
def test_an_error_comes_behind_the_chunks_before_it(tmp_path: Path, beside_server: bool) -> None:
    good = write_lines(tmp_path / "m.jsonl", map(message, range(10)))
    (tmp_path / "bad.csv").write_text("no,such,columns\n")
    source = source_of(good, tmp_path / "bad.csv")
    with chunks_of(source, StopSignal(), beside_server=beside_server) as chunks:
        assert chunks.take() is not None
        with pytest.raises(InputFileError):
            chunks.take()


def test_a_reader_that_nobody_listens_to_ends(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "m.jsonl", map(message, range(500)))
    with Prefetched(source_of(file), StopSignal()) as chunks:
        chunks.take()
    until = time.monotonic() + 10
    while any(thread.name == "reader" for thread in threading.enumerate()):
        assert time.monotonic() < until, "the thread still reads"
        time.sleep(0.05)


def test_a_stop_is_heeded_while_a_pipe_is_silent(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    text = write_lines(tmp_path / "m.jsonl", (message(at, content="x" * 8_000) for at in range(30))).read_bytes()
    writer = threading.Thread(target=lambda: _write_and_wait(pipe, text, silent))
    silent = threading.Event()
    writer.start()
    stop = StopSignal()
    try:
        source = source_of(pipe)
        assert source.has_streams
        with chunks_of(source, stop, beside_server=False) as chunks:
            assert chunks.take() is not None
            stop.request()
            with pytest.raises(InterruptedRunError):
                ids(chunks)
    finally:
        silent.set()
        writer.join()


def _write_and_wait(pipe: Path, text: bytes, silent: threading.Event) -> None:
    with pipe.open("wb") as stream:
        stream.write(text)
        stream.flush()
        silent.wait(20)


def test_columns_that_files_lack_are_left_out_until_they_are_seen(tmp_path: Path) -> None:
    records = [message(number) for number in range(8)]
    for record in records[:5]:
        del record["mentorId"]
    file = write_lines(tmp_path / "m.jsonl", records)
    narrow = ReadOptions(chunk_rows=2, omittable=("mentor_id", "role"))
    whole = [row for chunk in source_of(file) for row in chunk.rows]
    chunks = list(source_of(file, options=narrow))

    assert "mentor_id" not in chunks[0].columns
    assert "role" in chunks[0].columns
    assert chunks[-1].columns == tuple(MESSAGES.columns)
    found = [dict(zip(chunk.columns, row, strict=True)) for chunk in chunks for row in chunk.rows]
    assert [tuple(row.get(key) for key in MESSAGES.columns) for row in found] == whole


def test_rows_know_the_lines_that_they_begin_on(tmp_path: Path) -> None:
    text = 'id,userId,role,content,createdAt\n1,u,r,one,2024-01-01\n2,u,r\n3,u,r,"two\nlines",2024-01-01\n'
    (tmp_path / "m.csv").write_text(text + "4,u,r,four,2024-01-01\n")
    lines = write_lines(tmp_path / "m.jsonl", [message(1), "no JSON", "", message(2)])
    csv, jsonl = (next(iter(source_of(file))) for file in (tmp_path / "m.csv", lines))

    assert (csv.lines, [reject.line for reject in csv.rejects]) == ([2, 4, 6], [3])
    assert (jsonl.lines, [reject.line for reject in jsonl.rejects]) == ([1, 4], [2])
