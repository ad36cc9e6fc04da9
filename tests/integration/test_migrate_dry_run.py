"""What only shows a migration sends no write: told from the server's own log, or the file's own bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.cli import Completed
from tests.support.handmade import make_legacy
from tests.support.servers import MariaDBServer, PostgreSQLServer, own_server

from chatctl.stores.sql.database import Database

Run = Callable[..., Completed]

#: Everything that plans, shows or checks, and writes nothing.
LOOKS = [
    ["adopt", "--dry-run"],
    ["status"],
    ["plan", "--no-measure"],
    ["up", "--dry-run"],
    ["--dry-run"],
    ["check"],
    ["history"],
]

_WRITE = re.compile(
    r"\b(INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|TRUNCATE|RENAME|GRANT|COPY|LOAD|nextval|setval)\b",
    re.IGNORECASE,
)


@pytest.fixture
def look(invoke: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Runs everything that only looks at the database of a URL."""

    def look(url: str) -> None:
        monkeypatch.setenv("CHATCTL_DATABASE", url)
        monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")
        for arguments in LOOKS:
            completed = invoke("--output", "json", "migrate", *arguments)
            assert completed.exit_code in (0, 7), completed

    return look


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
def test_mariadb_sees_no_write(logging_mariadb: MariaDBServer, look: Callable[[str], None]) -> None:
    url = logging_mariadb.databases.create_database("legacy")
    make_mentor(url)
    before = len(logging_mariadb.general_log.read_text())
    assert writes_in(logging_mariadb.general_log.read_text())
    look(url)
    sent = logging_mariadb.general_log.read_text()[before:]
    assert "messages" in sent
    assert writes_in(sent) == []


@pytest.mark.postgresql
def test_postgresql_sees_no_write(logging_postgresql: PostgreSQLServer, look: Callable[[str], None]) -> None:
    url = logging_postgresql.databases.create_database("legacy")
    make_mentor(url)
    before = len(logging_postgresql.log.read_text())
    assert writes_in(logging_postgresql.log.read_text())
    look(url)
    sent = logging_postgresql.log.read_text()[before:]
    assert "messages" in sent
    assert writes_in(sent) == []


def test_a_sqlite_file_keeps_every_byte(sqlite_url: str, look: Callable[[str], None], tmp_path: Path) -> None:
    make_mentor(sqlite_url)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    before = file.read_bytes()
    look(sqlite_url)
    assert file.read_bytes() == before
