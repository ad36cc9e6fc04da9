"""No secret that chatctl is told comes out of it again: on no stream, in no file, table or argument of a process.

Every command of the contract runs on servers whose passwords are like nothing else, and is then looked through.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
import zstandard
from tests.cli.test_contract import ROWS, SESSIONS
from tests.support.accounts import execute
from tests.support.cli import Completed
from tests.support.servers import RedisServer, own_server

from chatctl.stores.sql.database import Database

CANARY = "c4n4ry-of-the-database"
REDIS_CANARY = "c4n4ry-of-redis"
TOKEN_CANARY = "c4n4ry-that-signs-tokens-and-is-long-enough"
SECRETS = (CANARY, REDIS_CANARY, TOKEN_CANARY)
#: These make SQLite files of their own.
LEFT_OUT = ("demo create", "init")

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, pytest.mark.redis]


@pytest.fixture
def secretive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, postgresql_url: str) -> Iterator[str]:
    """The URL of a database whose account has the canary for its password; the settings name it, and a Redis."""
    url = sa.make_url(postgresql_url)
    owner = f"canary_{url.database}"
    execute(postgresql_url, [f"CREATE ROLE {owner} SUPERUSER LOGIN PASSWORD '{CANARY}'"])
    known = url.set(username=owner, password=CANARY).render_as_string(hide_password=False)
    with own_server("redis") as server:
        assert isinstance(server, RedisServer)
        with server.connect() as client:
            client.config_set("requirepass", REDIS_CANARY)
        redis_url = f"redis://:{REDIS_CANARY}@127.0.0.1:{server.port}/0"
        settings = {
            "DATABASE": known,
            "REDIS": redis_url,
            "SERVE_JWT_SECRET": TOKEN_CANARY,
            "PURGE_RETENTION_DAYS": "30",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"CHATCTL_{name}", value)
        yield known
    execute(
        postgresql_url, [f"REASSIGN OWNED BY {owner} TO CURRENT_USER", f"DROP OWNED BY {owner}", f"DROP ROLE {owner}"]
    )


@contextmanager
def watched_arguments() -> Iterator[set[str]]:
    """What stands in the arguments of every process of this machine while the block runs, as far as it has a secret."""
    found: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = file.read_text(errors="replace")
                except OSError:
                    continue
                if any(secret in words for secret in (CANARY, REDIS_CANARY)):
                    found.add(words.replace("\0", " "))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def in_files(folder: Path) -> list[str]:
    """The files that hold a secret, packed ones unpacked."""
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if content.startswith(b"\x28\xb5\x2f\xfd"):
            content = zstandard.ZstdDecompressor().stream_reader(content).read()
        if any(secret.encode() in content for secret in SECRETS):
            found.append(str(path.relative_to(folder)))
    return found


def in_tables(url: str) -> list[str]:
    """The tables that hold a secret."""
    database = Database(url)
    try:
        with database.connect() as connection:
            names = sa.inspect(connection).get_table_names()
            rows = {name: str(connection.execute(sa.text(f'SELECT * FROM "{name}"')).all()) for name in names}
    finally:
        database.close()
    return [name for name, text in rows.items() if any(secret in text for secret in SECRETS)]


def test_no_command_gives_a_secret_away(
    invoke: Callable[..., Completed], secretive: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known: dict[str, str] = {}
    seen = 0
    with watched_arguments() as arguments:
        for layout, steps in (("mentor", f"migrate up mentor_0001{ROWS}"), ("native", SESSIONS)):
            monkeypatch.setenv("CHATCTL_LAYOUT", layout)
            for line in filter(None, steps.splitlines()):
                call = line.partition(" → ")[0]
                if call.startswith(LEFT_OUT):
                    continue
                words = shlex.split(call.format_map({"run": "none", "id": "none", **known}))
                answer = invoke(*words, "-o", "json", "--verbose")
                for secret in SECRETS:
                    assert secret not in answer.stdout, call
                    assert secret not in answer.stderr, call
                seen += 1
                known |= {"run": answer.json["run_id"]} if answer.json["run_id"] else {}
    assert seen > 60
    assert arguments == set()
    assert in_files(tmp_path) == []
    assert in_tables(secretive) == []


def test_the_search_finds_what_is_there(tmp_path: Path, postgresql_url: str) -> None:
    """The control: a canary that sat somewhere would be seen."""
    (tmp_path / "packed").write_bytes(zstandard.ZstdCompressor().compress(b"x " + CANARY.encode()))
    execute(postgresql_url, ["CREATE TABLE told (what text)", f"INSERT INTO told VALUES ('{REDIS_CANARY}')"])

    assert in_files(tmp_path) == ["packed"]
    assert in_tables(postgresql_url) == ["told"]
