"""Archive files and their manifest, as a kill or a bad disk leaves them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatctl.errors import IntegrityError, NotFoundError
from chatctl.stores.archive_folder import MANIFEST, ArchiveFolder


def test_half_a_line_of_the_manifest_spoils_no_other(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    folder.write("run", 1, ["one"])
    with (tmp_path / "run" / MANIFEST).open("ab") as manifest:
        manifest.write(b'{"name": "run/000002.jso')
    folder.write("run", 2, ["two"])

    first, half, second = (tmp_path / "run" / MANIFEST).read_text().splitlines()

    assert [json.loads(line)["name"] for line in (first, second)] == ["run/000001.jsonl.zst", "run/000002.jsonl.zst"]
    assert half == '{"name": "run/000002.jso'


def test_a_try_that_was_killed_leaves_no_file_that_counts(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    kept = folder.write("run", 1, ["one"])
    (tmp_path / "run" / ".000002.jsonl.zst.tmp").write_bytes(b"half")

    assert folder.unlisted([kept.name]) == ["run/.000002.jsonl.zst.tmp"]


@pytest.mark.parametrize("place", [0, 10, -1])
def test_one_flipped_bit_is_found(tmp_path: Path, place: int) -> None:
    folder = ArchiveFolder(tmp_path)
    made = folder.write("run", 1, ["one", "two"])
    content = bytearray((tmp_path / made.name).read_bytes())
    content[place] ^= 1
    (tmp_path / made.name).write_bytes(content)

    with pytest.raises(IntegrityError):
        list(folder.read(made.name, made.sha256))
    (tmp_path / made.name).unlink()
    with pytest.raises(NotFoundError):
        folder.verify(made.name, made.sha256)
