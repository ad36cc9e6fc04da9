"""A disk that fills up with archives: named, nothing deleted that isn't archived, and the same command goes on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Completed
from tests.support.clones import content
from tests.support.disks import SmallDisk, small_disk
from tests.support.purging import bed

from chatctl.stores.archive_folder import ArchiveFolder
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.purge.archives import Archives

pytestmark = [
    pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True),
]

CHATS = 24


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", "128k") as disk:
        yield disk


@pytest.fixture
def full(engine_url: str, tmp_path: Path) -> str:
    """A database whose archives take about 400 kB."""
    made = bed(engine_url, "worker", tmp_path)
    now, chance = datetime.now(UTC), random.Random(1)
    for number in range(CHATS):
        made.add(f"c{number:02}", now - timedelta(days=31 + number), messages=1)
    with made.database.begin() as connection:
        messages = made.tables["messages"]
        for key in list(connection.scalars(sa.select(messages.c.id))):
            text = chance.randbytes(9_000).hex()
            connection.execute(messages.update().where(messages.c.id == key).values(content=text))
    made.close()
    return engine_url


def archived(url: str, folder: Path) -> int:
    """The conversations in archives, each archive found whole."""
    database = Database(url)
    try:
        archives = Archives(Journal(database), ArchiveFolder(folder))
        with database.connect() as connection:
            listed = archives.all(connection)
            for archive in listed:
                archives.verify(connection, archive)
        return sum(archive.chats for archive in listed)
    finally:
        database.close()


def test_a_full_disk_stops_the_purge_and_loses_nothing(
    invoke: Callable[..., Completed], monkeypatch: pytest.MonkeyPatch, full: str, small: SmallDisk
) -> None:
    monkeypatch.setenv("CHATCTL_DATABASE", full)
    monkeypatch.setenv("CHATCTL_LAYOUT", "worker")
    monkeypatch.setenv("CHATCTL_PURGE_ARCHIVE_FOLDER", str(small.folder / "archives"))
    purge = ("--output", "json", "purge", "run", "--confirm", "default", "--batch-size", "4")
    whole = content(full)

    stopped = invoke(*purge)

    assert (stopped.exit_code, stopped.json["errors"][0]["code"]) == (13, "disk_full")
    gone = CHATS - len(content(full)["conversations"])
    assert 0 < gone < CHATS
    assert archived(full, small.folder / "archives") == gone

    small.grow("8m")
    done = invoke(*purge)

    assert (done.exit_code, done.json["data"]["resumed"]) == (0, True)
    assert archived(full, small.folder / "archives") == CHATS
    assert invoke("--output", "json", "purge", "restore").exit_code == 0
    assert content(full) == whole
