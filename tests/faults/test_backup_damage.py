"""Whatever happens to a backup's bytes is found before anything is restored, and leaves the target untouched."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.backups import Invoke, Site, make_site
from tests.support.legacy import make_legacy

from chatctl.domain.backups import body_hash
from chatctl.services.backup.reading import Sample, verify
from chatctl.services.backup.sealing import Opening
from chatctl.stores.repository.folder import FolderRepository

SEED = 20261120


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str) -> Site:
    make_legacy(sqlite_url, "mentor")
    return make_site(invoke, monkeypatch, tmp_path, sqlite_url, "mentor")


@pytest.fixture
def backup(site: Site) -> Path:
    """The folder of a backup."""
    return site.store / site.create()


def intact(backup: Path) -> bool:
    """What `backup verify` says of it."""
    return bool(verify(FolderRepository(backup.parent), backup.name, Opening(), Sample()).data["ok"])


@contextmanager
def changed(path: Path, data: bytes | None) -> Iterator[None]:
    """The file with other bytes (None: without the file), and as it was afterwards."""
    before = path.read_bytes()
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    yield
    path.write_bytes(before)


def files_of(backup: Path) -> list[Path]:
    return sorted(path for path in backup.rglob("*") if path.is_file())


def flipped(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def refused(site: Site, backup: Path, number: int) -> bool:
    """What verify says of it; of some of many, a restore and the target too."""
    if number % 100 == 0:
        rows = site.rows()
        site.restore(backup.name, expected=9)
        assert site.rows() == rows
    return not intact(backup)


def test_one_bit_flipped_anywhere_is_found(site: Site, backup: Path) -> None:
    chance = random.Random(SEED)
    files = files_of(backup)
    assert intact(backup)
    site.execute("DELETE FROM messages")

    for number in range(2_000):
        path = chance.choice(files)
        data = path.read_bytes()
        with changed(path, flipped(data, chance.randrange(len(data)), chance.randrange(8))):
            assert refused(site, backup, number), path

    assert intact(backup)


def test_one_bit_flipped_in_each_byte_of_the_manifest_is_found(site: Site, backup: Path) -> None:
    manifest = backup / "manifest.json"
    data = manifest.read_bytes()

    for place in range(len(data)):
        with changed(manifest, flipped(data, place, place % 8)):
            assert refused(site, backup, place), place


def test_a_truncated_file_is_found(site: Site, backup: Path) -> None:
    chance = random.Random(SEED)
    files = files_of(backup)

    for number in range(500):
        path = chance.choice(files)
        data = path.read_bytes()
        with changed(path, data[: chance.randrange(len(data))]):
            assert refused(site, backup, number), path


def test_a_file_that_is_swapped_dropped_added_or_of_another_backup_is_found(site: Site, backup: Path) -> None:
    site.execute("DELETE FROM messages")
    other = site.store / site.create()
    assert intact(other)
    for path in files_of(backup):
        name = path.relative_to(backup)
        with changed(path, None):
            assert not intact(backup), name
        with changed(path, (other / name).read_bytes()):
            # What both hold alike may be exchanged; nothing else may.
            same = path.read_bytes() == (backup / name).read_bytes() and name.name == "environment.json"
            assert not intact(backup) or same, name
    database, environment = backup / "sql/database.sqlite.zst", backup / "environment.json"
    with changed(database, environment.read_bytes()), changed(environment, b"{}"):
        assert not intact(backup)
    stray = backup / "sql" / "stray"
    stray.write_bytes(b"x")
    assert not intact(backup)
    stray.unlink()
    shutil.rmtree(other)
    backup.rename(other)
    assert not intact(other)


def test_a_link_is_no_file_of_a_backup(backup: Path, tmp_path: Path) -> None:
    database = backup / "sql/database.sqlite.zst"
    elsewhere = tmp_path / "elsewhere"
    database.rename(elsewhere)
    database.symlink_to(elsewhere)
    assert not intact(backup)
    database.unlink()
    elsewhere.rename(database)

    folder = backup / "sql"
    folder.rename(tmp_path / "sql")
    folder.symlink_to(tmp_path / "sql")
    assert not intact(backup)


@pytest.mark.parametrize("name", ["manifest.json", "environment.json", "sql/database.sqlite.zst"])
def test_a_damaged_backup_is_not_restored_and_the_target_stays(site: Site, backup: Path, name: str) -> None:
    site.execute("DELETE FROM messages")
    rows = site.rows()
    path = backup / name
    data = path.read_bytes()

    with changed(path, flipped(data, len(data) // 2, 3)):
        (error,) = site.restore(backup.name, expected=9)
        assert error["code"] == "integrity"
        assert site("drill", backup.name, expected=9) if name != "manifest.json" else True

    assert site.rows() == rows
    assert len(list(site.store.iterdir())) == 1


def test_a_manifest_of_a_newer_chatctl_is_refused_by_name(site: Site, backup: Path) -> None:
    path = backup / "manifest.json"
    header, _, body = path.read_bytes().partition(b"\n")
    newer = json.loads(header) | {"format": 2, "sha256": body_hash(2, body)}
    path.write_bytes(json.dumps(newer, separators=(",", ":")).encode() + b"\n" + body)

    (error,) = site("show", backup.name, expected=4)

    assert "newer one" in error["hint"]
