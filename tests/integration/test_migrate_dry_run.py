"""What only shows a migration sends no write: told from the server's own log, or the file's own bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.cli import Completed
from tests.support.handmade import make_legacy
from tests.support.servers import MariaDBServer, PostgreSQLServer, own_server
from tests.support.transfers import message, write_lines

from chatctl.stores.sql.database import Database

Run = Callable[..., Completed]
Look = Callable[[str, list[list[str]]], None]
Expand = Callable[[str], None]

#: Everything that plans, shows or checks a legacy database, and writes nothing.
LOOKS = [
    ["migrate", "adopt", "--dry-run"],
    ["migrate", "status"],
    ["migrate", "plan", "--no-measure"],
    ["migrate", "up", "--dry-run"],
    ["migrate", "--dry-run"],
    ["migrate", "check"],
    ["migrate", "history"],
    ["import", "m.jsonl", "--dry-run"],
    ["export", "--out", "all.jsonl"],
]

#: The same once the expand phase is applied.
LOOKS_LATER = [
    ["migrate", "down", "mentor_0001", "--dry-run"],
    ["migrate", "plan", "--down", "mentor_0001", "--no-measure"],
    ["import", "m.jsonl", "--dry-run"],
]

_WRITE = re.compile(
    r"\b(INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|TRUNCATE|RENAME|GRANT|COPY|LOAD|nextval|setval)\b",
    re.IGNORECASE,
)


@pytest.fixture
def look(invoke: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Look:
    """Runs commands that only look at the database of a URL."""
    write_lines(tmp_path / "m.jsonl", map(message, range(3)))

    def look(url: str, looks: list[list[str]]) -> None:
        monkeypatch.setenv("CHATCTL_DATABASE", url)
        monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")
        for arguments in looks:
            completed = invoke("--output", "json", *arguments)
            assert completed.exit_code in (0, 7), completed

    return look


@pytest.fixture
def expand(invoke: Run) -> Expand:
    """Applies the expand phase to the database of a URL."""

    def expand(url: str) -> None:
        assert invoke("--database", url, "--layout", "mentor", "migrate", "up").exit_code == 0

    return expand


@pytest.fixture
def logging_mariadb() -> Iterator[MariaDBServer]:
    with own_server("mysql", {"general-log": "1"}) as server:
        assert isinstance(server, MariaDBServer)
        yield server


@pytest.fixture
def logging_postgresql() -> Iterator[PostgreSQLServer]:
    with own_server("postgresql", {"log_statement": "all"}) as server:
        assert isinstance(server, PostgreSQLServer)
        yield server


def make_mentor(url: str) -> None:
    database = Database(url)
    make_legacy(database, "mentor")
    database.close()


def writes_in(log: str) -> list[str]:
    """The statements in a server's log that write; what is only quoted or asked about doesn't count."""
    sent = [line for line in log.splitlines() if re.search(r"\bQuery\t|LOG:  (?:statement|execute)", line)]
    return [line for line in sent if _WRITE.search(re.sub(r"'[^']*'|SHOW CREATE \w+", "", line))]


@pytest.mark.mysql
def test_mariadb_sees_no_write(logging_mariadb: MariaDBServer, look: Look, expand: Expand) -> None:
    url = logging_mariadb.databases.create_database("legacy")
    make_mentor(url)
    _see_no_write(logging_mariadb.general_log, url, look, expand)


@pytest.mark.postgresql
def test_postgresql_sees_no_write(logging_postgresql: PostgreSQLServer, look: Look, expand: Expand) -> None:
    url = logging_postgresql.databases.create_database("legacy")
    make_mentor(url)
    _see_no_write(logging_postgresql.log, url, look, expand)


def _see_no_write(log: Path, url: str, look: Look, expand: Expand) -> None:
    for looks in (LOOKS, LOOKS_LATER):
        before = len(log.read_text())
        assert writes_in(log.read_text())
        look(url, looks)
        sent = log.read_text()[before:]
        assert "messages" in sent
        assert writes_in(sent) == []
        expand(url)


def test_a_sqlite_file_keeps_every_byte(sqlite_url: str, look: Look, expand: Expand) -> None:
    make_mentor(sqlite_url)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    for looks in (LOOKS, LOOKS_LATER):
        before = file.read_bytes()
        look(sqlite_url, looks)
        assert file.read_bytes() == before
        expand(sqlite_url)
