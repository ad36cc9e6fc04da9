"""Redis or TPMS in trouble: a clear error, the right exit code, and nothing changed anywhere."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Completed
from tests.support.permissions import make_permissions
from tests.support.redis_server import RedisServer

from chatctl.stores.tpms import source

COUNTER = "session:counter:project:12345"
SESSION = "P-12345-000001"
RECORD = f"chat:{SESSION}:metadata"

CREATE = ("sessions", "create", "--user", "jane", "--project", "12345", "--page", "P")
CHECK = ("counters", "check")
REPAIR = ("counters", "repair")
ARCHIVE = ("sessions", "archive", "--idle", "0s")
TITLE = ("sessions", "title", SESSION, "--title", "T")
SHARE = ("sessions", "share", SESSION, "--with", "john")
SHOW = ("sessions", "show", SESSION)
USAGE = ("sessions", "usage")
PROBE = ("permissions", "check", "jane", "12345", "--no-cache")


class Site:
    """A session of a project, its counter behind it, the permissions, and whatever befalls them."""

    def __init__(self, server: RedisServer, invoke: Callable[..., Completed], folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._invoke = invoke
        self.tpms(f"sqlite:///{folder / 'tpms.db'}")
        make_permissions(f"sqlite:///{folder / 'tpms.db'}", [("12345", "Plant")], [("12345", "jane")])
        assert self("migrate", "--yes").exit_code == 0
        assert self(*CREATE).exit_code == 0
        self.redis(3, "FLUSHDB")
        self.redis(0, "SET", COUNTER, 0)
        self.redis(0, "HSET", "chatctl:guard:project:12345", "last", 0)

    def tpms(self, url: str) -> None:
        """The permission database is there from now on."""
        (self.folder / "chatctl.yaml").write_text(f"contexts: {{default: {{permissions: {{database: '{url}'}}}}}}\n")

    def __call__(self, *arguments: str) -> Completed:
        options = ["--layout", "simorgh", "--database", f"sqlite:///{self.folder / 'chat.db'}"]
        return self._invoke(*arguments, *options, "--redis", self.server.url, "-o", "json")

    def redis(self, db: int, *command: Any) -> Any:
        """What the server answers."""
        with self.server.connect(db=db) as client:
            return client.execute_command(*command)

    def content(self) -> dict[str, Any]:
        """Every key of Redis with its value, but for remembered grants, and every number that was marked as issued."""
        found: dict[str, Any] = {}
        for db in range(3):
            with self.server.connect(db=db, decode_responses=True) as client:
                readers = {
                    "string": client.get,
                    "list": lambda name: client.lrange(name, 0, -1),
                    "set": client.smembers,
                    "hash": client.hgetall,
                }
                found |= {f"{db}:{name}": readers[client.type(name)](name) for name in client.scan_iter()}
        with closing(sqlite3.connect(self.folder / "chat.db")) as connection:
            found["marks"] = connection.execute("SELECT counter, issued FROM chatctl_high_water").fetchall()
        return found


@pytest.fixture
def site(own_redis: RedisServer, invoke: Callable[..., Completed], tmp_path: Path) -> Site:
    return Site(own_redis, invoke, tmp_path)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"mysql://u:canary-1@127.0.0.1:{server.getsockname()[1]}/TPMS"


def expect(site: Site, commands: dict[tuple[str, ...], tuple[int, str]], says: str) -> None:
    """Each command ends with its exit code and its error, which holds `says`, and changes nothing."""
    for command, (exit_code, code) in commands.items():
        answer = site(*command)
        errors = answer.json["errors"]
        assert (answer.exit_code, [error["code"] for error in errors]) == (exit_code, [code]), answer
        assert says in errors[0]["message"], answer
        assert "canary" not in answer.stdout + answer.stderr


def test_redis_is_down(site: Site) -> None:
    before = site.content()
    site.server.stop()
    down = (5, "cannot_connect")
    commands = [CREATE, CHECK, REPAIR, ARCHIVE, TITLE, SHOW, USAGE]
    expect(site, dict.fromkeys(commands, down), str(site.server.port))
    assert site(*PROBE).exit_code == 0, "the permissions are asked without Redis"
    site.server.start()
    assert site.content() == before


def test_redis_is_a_read_only_replica(site: Site) -> None:
    site.redis(0, "REPLICAOF", "127.0.0.1", 1)
    before = site.content()
    refused = (13, "read_only")
    expect(site, dict.fromkeys([CREATE, REPAIR, ARCHIVE, TITLE], refused), "read only replica")
    assert site(*CHECK).exit_code == 9
    assert site(*SHOW).json["data"]["archived"] is False
    assert site.content() == before


def test_another_type_is_under_the_counters_key(site: Site) -> None:
    site.redis(0, "DEL", COUNTER)
    site.redis(0, "RPUSH", COUNTER, "a list")
    before = site.content()
    wrong = (9, "integrity")
    expect(site, {CREATE: wrong}, "holds no number")
    expect(site, {REPAIR: wrong, (*REPAIR, "project:12345", "--to", "5"): wrong}, "(list), which is no count")
    assert site(*CHECK).json["data"]["counters"][0]["state"] == "invalid"
    assert site.content() == before


def test_another_type_is_under_a_records_key(site: Site) -> None:
    site.redis(1, "DEL", RECORD)
    site.redis(1, "RPUSH", RECORD, "a list")
    before = site.content()
    expect(site, dict.fromkeys([ARCHIVE, TITLE, SHOW, USAGE], (9, "integrity")), SESSION)
    assert "record_wrong_type" in {finding["rule"] for finding in site(*CHECK).json["data"]["findings"]}
    assert site.content() == before


def test_the_counter_is_no_number(site: Site) -> None:
    site.redis(0, "SET", COUNTER, "12x")
    before = site.content()
    wrong = (9, "integrity")
    expect(site, {CREATE: wrong, REPAIR: wrong}, "'12x'")
    assert site(*CHECK).json["data"]["counters"][0]["state"] == "invalid"
    assert site.content() == before


def test_tpms_is_down(site: Site) -> None:
    before = site.content()
    site.tpms("mysql://u:canary-1@127.0.0.1:1/TPMS")
    expect(site, dict.fromkeys([CREATE, SHARE, PROBE], (5, "permission_source")), "TPMS MySQL connection error")
    assert site.redis(3, "DBSIZE") == 0, "a failure is never remembered"
    assert site(*CHECK).exit_code == 9, "counters need no permissions"
    assert site.content() == before


def test_tpms_says_nothing(site: Site, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.content()
    site.tpms(silent)
    monkeypatch.setattr(source, "TIMEOUT_SECONDS", 1)
    expect(site, dict.fromkeys([CREATE, SHARE, PROBE], (5, "permission_source")), "TPMS MySQL connection error")
    assert site.redis(3, "DBSIZE") == 0, "a failure is never remembered"
    assert site.content() == before
