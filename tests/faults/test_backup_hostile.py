"""Archives made by somebody who can write the store, hashes and all: nothing is written outside, nobody is led on.

What a key has signed is no matter of these tests: `--trusted-key` refuses all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.support.backups import Invoke, Site, make_site
from tests.support.legacy import make_legacy

from chatctl.domain.backups import body_hash

SEED = 20261120
DATABASE = "sql/database.sqlite.zst"

NAMES = (
    "../evil", "/tmp/evil", "sql/../../evil", "..", ".", "", "sql//evil", "sql/./evil", "a\\..\\evil", "~/evil",
    "sql/evil\x00", "sql/evil\n", "-rf", ".hidden", "sql/.ssh/evil", "C:evil", "x" * 300, "a/b/c/d/e/f", "evil\u2024",
    "%2e%2e/evil", "sql/\u202eevil", "$(evil)", "`evil`", "evil;evil", "evil|evil",
)  # fmt: skip
VALUES: tuple[Any, ...] = (None, -1, 2**70, 0.5, "../evil", ["../evil"], {"../evil": "../evil"})

Spoil = Callable[[Path], None]


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str) -> Site:
    make_legacy(sqlite_url, "mentor")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return make_site(invoke, monkeypatch, tmp_path, sqlite_url, "mentor")


@pytest.fixture
def backup(site: Site) -> Path:
    """The folder of a backup."""
    return site.store / site.create()


def manifest_of(backup: Path) -> Any:
    """The manifest's body."""
    return json.loads((backup / "manifest.json").read_bytes().partition(b"\n")[2])


def write_manifest(backup: Path, content: Any) -> None:
    """A manifest with that body and the hash that belongs to it."""
    body = json.dumps(content).encode()
    header = json.dumps({"format": 1, "sha256": body_hash(1, body)}, separators=(",", ":"))
    (backup / "manifest.json").write_bytes(header.encode() + b"\n" + body)


def believe(backup: Path, path: Path) -> None:
    """Rewrites the manifest as somebody would who has changed a file."""
    content, data = manifest_of(backup), path.read_bytes()
    for file in content["files"]:
        if file["name"] == path.relative_to(backup).as_posix():
            file.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    write_manifest(backup, content)


def paths_in(content: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of the manifest."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield (*before, key)
        if "schema" not in before:
            yield from paths_in(value, (*before, key))


def named(name: str, *, sealed: bool) -> Spoil:
    """A manifest that names a file of the attacker's choice, encrypted or not."""

    def spoil(backup: Path) -> None:
        content = manifest_of(backup)
        content["files"][-1] = {"name": name, "bytes": 3, "sha256": "0" * 64}
        content["recipients"] = ["age1evil"] if sealed else []
        write_manifest(backup, content)

    return spoil


def valued(path: tuple[Any, ...], value: Any) -> Spoil:
    """A manifest with another value in one place."""

    def spoil(backup: Path) -> None:
        content = manifest_of(backup)
        holder = content
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
        write_manifest(backup, content)

    return spoil


def replaced(make: Callable[[Path], object]) -> Spoil:
    """Something else than a regular file in the place of the database."""

    def spoil(backup: Path) -> None:
        (backup / DATABASE).unlink()
        make(backup / DATABASE)

    return spoil


def garbled(seed: int) -> Spoil:
    """The database's file, or what is packed in it, with bytes of chance; the manifest believes them."""

    def spoil(backup: Path) -> None:
        chance, path = random.Random(seed), backup / DATABASE
        packed = seed % 2 == 0
        data = bytearray(path.read_bytes() if packed else zstandard.ZstdDecompressor().decompress(path.read_bytes()))
        for _ in range(chance.randrange(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data) if packed else zstandard.ZstdCompressor().compress(bytes(data)))
        believe(backup, path)

    return spoil


def archives(content: Any, elsewhere: Path) -> list[Spoil]:
    """Two hundred of them."""
    chance = random.Random(SEED)
    pairs = [(path, value) for path in paths_in(content) for value in VALUES]
    return [
        *(named(name, sealed=sealed) for name in NAMES for sealed in (False, True)),
        *(replaced(make) for make in (
            lambda place: place.symlink_to(elsewhere),
            lambda place: place.symlink_to("/dev/zero"),
            os.mkfifo,
            Path.mkdir,
        )),
        *(garbled(seed) for seed in range(46)),
        *(valued(path, value) for path, value in chance.sample(pairs, 100)),
    ]  # fmt: skip


def seen(folder: Path, but: Path) -> dict[str, bytes | None]:
    """Every file and what it holds, those below `but` left out."""
    found = (path for path in folder.rglob("*") if but not in (path, *path.parents))
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


def test_two_hundred_hostile_archives_write_nothing_outside(site: Site, backup: Path, tmp_path: Path) -> None:
    elsewhere, target = tmp_path / "elsewhere", tmp_path / "target"
    elsewhere.write_bytes(b"of somebody else")
    hostile = archives(manifest_of(backup), elsewhere)
    assert len(hostile) == 200
    shutil.copytree(backup, tmp_path / "original", symlinks=True)
    before = seen(tmp_path, site.store)
    refused, crashed = 0, []

    for number, spoil in enumerate(hostile):
        spoil(backup)
        target.mkdir()
        into = f"sqlite:///{target / 'new.db'}"
        for arguments in (("verify", backup.name), ("restore", backup.name, "--into", into)):
            answer = site.invoke("backup", *arguments, "--output", "json")
            if answer.exit_code == 1:
                crashed.append((number, arguments[0], answer.json["errors"][0]["message"]))
        refused += answer.exit_code != 0
        assert all(path.name.startswith("new.db") for path in target.iterdir()), number
        shutil.rmtree(target)
        shutil.rmtree(backup)
        shutil.copytree(tmp_path / "original", backup, symlinks=True)
        assert seen(tmp_path, site.store) == before, number

    assert (refused > 100, crashed) == (True, [])
    assert not Path("/tmp/evil").exists()


def test_a_database_that_announces_more_than_there_is_room_for_is_not_unpacked(site: Site, backup: Path) -> None:
    bomb = zstandard.ZstdCompressor().compressobj(size=2**60)
    packed = bomb.compress(b"\0" * 1024)
    path = backup / "sql/database.sqlite.zst"
    path.write_bytes(packed + bomb.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    believe(backup, path)
    assert site("verify", backup.name)["ok"]

    (error,) = site.restore(backup.name, expected=13)

    assert error["code"] == "disk_full"


@pytest.mark.mysql
@pytest.mark.parametrize(
    "command", ["\\! touch {evil}", "system touch {evil}", "tee {evil}", "\\T {evil}", "pager touch {evil}"]
)
def test_a_dump_starts_no_program_and_writes_no_file_on_this_machine(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mariadb_url: str, command: str
) -> None:
    make_legacy(mariadb_url, "mentor")
    site = make_site(invoke, monkeypatch, tmp_path, mariadb_url, "mentor")
    backup = site.store / site.create()
    evil = tmp_path / "evil"
    path = backup / "sql/database.sql.zst"
    text = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    path.write_bytes(zstandard.ZstdCompressor().compress(command.format(evil=evil).encode() + b"\nSELECT 1;\n" + text))
    believe(backup, path)

    site.invoke("backup", "restore", backup.name, "--confirm", "default")

    assert not evil.exists()
