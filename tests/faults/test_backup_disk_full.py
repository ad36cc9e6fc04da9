"""A disk that fills up at any step of a backup: named, nothing left behind, older backups intact."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.backups import Invoke, Site, make_site
from tests.support.disks import SmallDisk, small_disk
from tests.support.legacy import make_legacy

from chatctl.stores.sql.database import Database

_MESSAGES = 4_000
PAGE_BYTES = 4096


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", "4m") as disk:
        yield disk


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, small: SmallDisk) -> Site:
    """A database whose backup takes a good part of the small file system."""
    make_legacy(engine_url, "mentor")
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "mentor")
    database = Database(engine_url)
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE ballast (id INTEGER PRIMARY KEY, content TEXT NOT NULL)")
        rows = ", ".join(f"({number}, '{os.urandom(150).hex()}')" for number in range(_MESSAGES))
        connection.exec_driver_sql(f"INSERT INTO ballast VALUES {rows}")
    database.close()
    monkeypatch.setenv("CHATCTL_BACKUP_STORE", str(small.folder / "store"))
    site.store = small.folder / "store"
    return site


def test_a_disk_that_is_full_at_any_page_is_named_and_nothing_is_left_behind(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, small: SmallDisk
) -> None:
    """There is room for a page more each time, until a backup comes to its end."""
    make_legacy(engine_url, "mentor")
    site = make_site(invoke, monkeypatch, small.folder, engine_url, "mentor")
    earlier, rows = site.create(), site.rows()

    refused = 0
    while True:
        with small.filled(but_bytes=refused * PAGE_BYTES):
            answer = invoke("backup", "create", "--output", "json")
            if answer.exit_code == 0:
                break
            restored = invoke("backup", "restore", earlier, "--confirm", "default", "--output", "json")
        for each in (answer, restored):
            (error,) = each.json["errors"]
            assert (each.exit_code, error["code"]) == (13, "disk_full"), each
            # pg_dump doesn't always say which file it was.
            assert str(small.folder) in error["message"] or "pg_dump" in error["message"], each
        assert [path.name for path in site.store.iterdir()] == [earlier]
        assert site("verify", earlier)["ok"]
        refused += 1

    assert refused >= 3
    assert site.rows() == rows
    assert site("verify", answer.json["data"]["id"])["ok"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_full_disk_under_the_temporary_folder_is_named_and_nothing_is_left_behind(
    *,
    sealed: bool,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    engine_url: str,
    small: SmallDisk,
) -> None:
    """What is encrypted, or sent elsewhere, is made there first."""
    make_legacy(engine_url, "mentor")
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "mentor")
    options: tuple[str, ...] = ()
    if sealed:
        options = ("--recipient", str(pytest.importorskip("pyrage").x25519.Identity.generate().to_public()))
    else:
        pytest.importorskip("fsspec")
        monkeypatch.setenv("CHATCTL_BACKUP_STORE", f"memory://{tmp_path.name}")
    monkeypatch.setattr("tempfile.tempdir", str(small.folder))

    refused = 0
    while True:
        with small.filled(but_bytes=refused * PAGE_BYTES):
            answer = invoke("backup", "create", *options, "--output", "json")
        assert not list(small.folder.iterdir())
        if answer.exit_code == 0:
            break
        (error,) = answer.json["errors"]
        assert (answer.exit_code, error["code"]) == (13, "disk_full"), answer
        assert str(small.folder) in error["message"], answer
        refused += 1

    assert refused >= 10
    assert [each["state"] for each in site("list")["backups"]] == ["complete"]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_restore_on_a_full_disk_leaves_the_old_state_or_one_that_the_same_command_finishes(
    site: Site, small: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database, the safety backup and what is unpacked all have to fit on the small file system."""
    monkeypatch.setenv("CHATCTL_BACKUP_STORE", str(tmp_path / "store"))
    site.store = tmp_path / "store"
    backup, rows = site.create(), site.rows()
    database = small.folder / "chat.db"
    site.execute("DELETE FROM ballast WHERE id > 2000")
    shutil.copyfile(str(sa.make_url(site.url).database), database)
    monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{database}")
    site.url = f"sqlite:///{database}"
    monkeypatch.setenv("TMPDIR", str(small.folder))
    monkeypatch.setattr("tempfile.tempdir", str(small.folder))
    spoiled = site.rows()

    refused = 0
    for free_kilobytes in (0, 8, 64, 256, 512, 900):
        with small.filled(but_bytes=free_kilobytes * 1024):
            answer = site.invoke("backup", "restore", backup, "--confirm", "default", "--output", "json")
        assert (answer.exit_code, answer.json["errors"][0]["code"]) == (13, "disk_full"), answer
        refused += 1
        assert site.rows() == spoiled
        assert not [path for path in small.folder.iterdir() if not path.name.startswith("chat.db")]
        for safety in {path.name for path in site.store.iterdir()}:
            assert site("verify", safety)["ok"]

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    site.restore(backup)
    assert (refused, site.rows()) == (6, rows)
