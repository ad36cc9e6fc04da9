"""A disk that fills up at any step of a backup: named, nothing left behind, older backups intact."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.backups import Invoke, Site, make_site
from tests.support.legacy import make_legacy

from chatctl.stores.sql.database import Database

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")

_MESSAGES = 4_000


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this root may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, small: Path) -> Site:
    """A database whose backup takes a good part of the small file system."""
    make_legacy(engine_url, "mentor")
    site = make_site(invoke, monkeypatch, tmp_path, engine_url, "mentor")
    database = Database(engine_url)
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE ballast (id INTEGER PRIMARY KEY, content TEXT NOT NULL)")
        rows = ", ".join(f"({number}, '{os.urandom(150).hex()}')" for number in range(_MESSAGES))
        connection.exec_driver_sql(f"INSERT INTO ballast VALUES {rows}")
    database.close()
    monkeypatch.setenv("CHATCTL_BACKUP_STORE", str(small / "store"))
    site.store = small / "store"
    return site


def test_a_full_disk_is_named_and_nothing_is_left_behind(site: Site, small: Path) -> None:
    earlier = site.create()
    used = _used(small)
    ballast = small / "ballast"

    refused = 0
    for free_kilobytes in (0, 4, 8, 16, 64, 256, 512, 900):
        room = 4 * 1024 * 1024 - used - free_kilobytes * 1024
        ballast.write_bytes(b"\0" * room)
        answer = site.invoke("backup", "create", "--output", "json")
        ballast.unlink()
        if answer.exit_code != 0:
            refused += 1
            assert (answer.exit_code, answer.json["errors"][0]["code"]) == (13, "disk_full"), answer
            assert [path.name for path in site.store.iterdir()] == [earlier]
        else:
            site("prune", "--keep-last", "1", "--confirm", "default")
            (earlier,) = (path.name for path in site.store.iterdir())
        assert site("verify", earlier)["ok"]

    assert refused >= 5


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_restore_on_a_full_disk_leaves_the_old_state_or_one_that_the_same_command_finishes(
    site: Site, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database, the safety backup and what is unpacked all have to fit on the small file system."""
    monkeypatch.setenv("CHATCTL_BACKUP_STORE", str(tmp_path / "store"))
    site.store = tmp_path / "store"
    backup, rows = site.create(), site.rows()
    database = small / "chat.db"
    site.execute("DELETE FROM ballast WHERE id > 2000")
    shutil.copyfile(str(sa.make_url(site.url).database), database)
    monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{database}")
    site.url = f"sqlite:///{database}"
    monkeypatch.setenv("TMPDIR", str(small))
    monkeypatch.setattr("tempfile.tempdir", str(small))
    spoiled = site.rows()
    ballast = small / "ballast"

    refused = 0
    for free_kilobytes in (0, 8, 64, 256, 512, 900):
        room = 4 * 1024 * 1024 - _used(small) - free_kilobytes * 1024
        ballast.write_bytes(b"\0" * max(0, room))
        answer = site.invoke("backup", "restore", backup, "--confirm", "default", "--output", "json")
        ballast.unlink()
        assert (answer.exit_code, answer.json["errors"][0]["code"]) == (13, "disk_full"), answer
        refused += 1
        assert site.rows() == spoiled
        assert not [path for path in small.iterdir() if not path.name.startswith("chat.db")]
        for safety in {path.name for path in site.store.iterdir()}:
            assert site("verify", safety)["ok"]

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    site.restore(backup)
    assert (refused, site.rows()) == (6, rows)


def _used(folder: Path) -> int:
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize
