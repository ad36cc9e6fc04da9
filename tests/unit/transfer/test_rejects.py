"""The reject file: appears with its first reject, and holds each reject once after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatctl.errors import RefusedError, UsageError
from chatctl.services.transfer.rejects import Reject, RejectFile, reject_path

ONE = Reject("a.jsonl", 3, "userId is missing", '{"id": "é"}')
TWO = Reject("a.csv", 7, "name holds bytes that aren't UTF-8", "a\udcff\0")


def test_no_file_appears_without_a_reject(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "r.jsonl") as rejects:
        assert rejects.append([]) == 0
    assert list(tmp_path.iterdir()) == []


def test_each_reject_is_a_json_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with RejectFile(path) as rejects:
        length = rejects.append([ONE])
        assert length == path.stat().st_size
        assert rejects.append([TWO]) == path.stat().st_size
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"file": "a.jsonl", "line": 3, "reason": "userId is missing", "raw": '{"id": "é"}'},
        {"file": "a.csv", "line": 7, "reason": TWO.reason, "raw": "a\udcff\0"},
    ]


def test_a_resumed_import_cuts_off_what_was_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with RejectFile(path) as rejects:
        committed = rejects.append([ONE])
        rejects.append([TWO, TWO])
    with RejectFile(path, committed) as rejects:
        rejects.append([TWO])
    assert len(path.read_text().splitlines()) == 2


def test_a_new_import_starts_the_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for _ in range(2):
        with RejectFile(path) as rejects:
            rejects.append([ONE])
    assert len(path.read_text().splitlines()) == 1


def test_a_file_that_is_gone_is_begun_again(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "r.jsonl", 5_000) as rejects:
        assert rejects.append([ONE]) == (tmp_path / "r.jsonl").stat().st_size


def test_only_its_owner_reads_the_file_for_it_holds_peoples_messages(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "r.jsonl") as rejects:
        rejects.append([ONE])
    assert (tmp_path / "r.jsonl").stat().st_mode & 0o077 == 0


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with RejectFile(tmp_path) as rejects, pytest.raises(RefusedError, match="directory"):
        rejects.append([ONE])


def test_the_file_is_named_after_the_first_input_in_the_current_folder() -> None:
    assert reject_path(["in/messages.jsonl.gz", "b.csv"]) == Path("messages.jsonl.gz.rejects.jsonl")
    assert reject_path(["-"]) == Path("stdin.rejects.jsonl")
    assert reject_path(["a.csv"], "bad.jsonl") == Path("bad.jsonl")


def test_rejects_never_go_into_a_file_that_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is read by this import"):
        reject_path([str(tmp_path / "a.csv")], str(tmp_path / "x" / ".." / "a.csv"))
