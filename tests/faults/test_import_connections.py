"""An import whose connections are cut on the way goes on by itself, and nothing is lost or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.transfers import fingerprint, make_tables, message, rows_of, write_lines

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.layouts import load_layout
from chatctl.services.transfer.importing import ImportRequest, import_files
from chatctl.services.transfer.target import TransferTarget
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal


class Cutter(SilentProgress):
    """Ends every connection to the database of `url` after some batches."""

    def __init__(self, url: str, batches: tuple[int, ...]) -> None:
        self.cuts = 0
        self._url = url
        self._batches = batches
        self._seen = 0

    def advance(self, count: int) -> None:
        """One more batch is in."""
        self._seen += 1
        if self._seen in self._batches:
            self.cuts += _cut(self._url)


def _cut(url: str) -> int:
    name = sa.make_url(url).database
    if "postgresql" in url:
        others = f"pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        return len(rows_of(url, f"SELECT pg_terminate_backend(pid) FROM {others}"))
    others = f"information_schema.processlist WHERE db = '{name}' AND id <> CONNECTION_ID()"
    found = rows_of(url, f"SELECT id FROM {others}")
    for (number,) in found:
        _kill(url, number)
    return len(found)


def _kill(url: str, number: int) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"KILL {number}")


@pytest.mark.parametrize(
    "engine_name",
    [pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)
def test_cut_connections(engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tables(engine_url)
    monkeypatch.chdir(tmp_path)
    file = write_lines(tmp_path / "m.jsonl", [*map(message, range(3_000)), "no JSON", message(5)])
    reference = f"sqlite:///{tmp_path / 'reference.db'}"
    make_tables(reference)
    cutter = Cutter(engine_url, (3, 9))
    cut, undisturbed = (
        _imported(url, file, progress, tmp_path / f"{number}.rejects.jsonl")
        for number, (url, progress) in enumerate([(engine_url, cutter), (reference, SilentProgress())])
    )

    assert cutter.cuts >= 3
    assert cut == undisturbed
    assert cut[:4] == (3_002, 3_000, 1, 1)


def _imported(url: str, file: Path, progress: SilentProgress, rejects: Path) -> tuple[object, ...]:
    database = Database(url)
    try:
        target = TransferTarget(database, load_layout("mentor"), Journal(database))
        request = ImportRequest((str(file),), "messages", rejects=str(rejects), batch_size=200)
        data = import_files(target, request, progress, StopSignal()).data
    finally:
        database.close()
    counts = (data["rows_read"], data["imported"], data["repeated"], data["rejected"])
    return (*counts, fingerprint(url), rejects.read_text(encoding="utf-8"))
