"""Servers that the API's tests share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.api import Api, running_api

from chatctl.api.parts import Options
from chatctl.services.chatting.preparing import prepare
from chatctl.settings import load_settings
from chatctl.settings.flags import Flags
from chatctl.wiring import Wiring


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables of the layout native, to be copied."""
    folder = tmp_path_factory.mktemp("native")
    file = folder / "native.db"
    variables = {"HOME": str(folder), "CHATCTL_DATABASE": f"sqlite:///{file}"}
    wiring = Wiring(load_settings(Flags(), variables, folder))
    try:
        prepare(wiring.migration())
        with wiring.database().engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        wiring.close()
    return file


@pytest.fixture
def native_url(migrated_file: Path, tmp_path: Path) -> str:
    """A database of one test's own, with the tables of the layout native."""
    file = tmp_path / "api.db"
    shutil.copyfile(migrated_file, file)
    return f"sqlite:///{file}"


@pytest.fixture(scope="module")
def api(migrated_file: Path, shared_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server of all systems with tokens required, on SQLite and Redis; shared by a module's tests."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copyfile(migrated_file, folder / "api.db")
    with running_api(folder, f"sqlite:///{folder / 'api.db'}", shared_redis_url, migrated=True) as running:
        yield running


@pytest.fixture(scope="module")
def open_api(migrated_file: Path, shared_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The same without tokens, as the guides' own scripts expect it, and with the demo account."""
    folder = tmp_path_factory.mktemp("open-api")
    shutil.copyfile(migrated_file, folder / "api.db")
    options = Options(auth=False, demo_user=True)
    url = f"sqlite:///{folder / 'api.db'}"
    with running_api(folder, url, shared_redis_url, options=options, migrated=True) as running:
        yield running
