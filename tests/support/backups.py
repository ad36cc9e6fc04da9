"""A context whose backups the tests take: a database with rows, a Redis with keys, a store of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from tests.support.cli import Completed
from tests.support.clones import content

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot

Invoke = Callable[..., Completed]


@dataclass
class Site:
    """Runs commands on one database and one Redis; `store` is the folder of its backups."""

    invoke: Invoke
    url: str
    store: Path

    def __call__(self, *arguments: str | Path, expected: int = 0) -> Any:
        """The data of `chatctl backup ARGUMENTS`, which must end with `expected`; the errors where there is none."""
        answer = self.invoke("backup", *arguments, "--output", "json")
        assert answer.exit_code == expected, answer
        return answer.json["data"] or answer.json["errors"]

    def create(self, *options: str) -> str:
        """Takes a backup; its ID."""
        return str(self("create", *options)["id"])

    def restore(self, backup: str, *options: str, expected: int = 0) -> Any:
        """Restores with the consent that it needs."""
        return self("restore", backup, *options, "--confirm", "default", expected=expected)

    def rows(self) -> dict[str, list[str]]:
        """Every row of the application's."""
        return content(self.url)

    def schema(self) -> dict[str, str]:
        """The application's schema."""
        database = Database(self.url)
        try:
            with database.connect() as connection:
                return take_snapshot(connection)
        finally:
            database.close()

    def execute(self, *statements: str) -> None:
        """Changes the database as the application would."""
        database = Database(self.url)
        try:
            with database.begin() as connection:
                for statement in statements:
                    connection.execute(sa.text(statement))
        finally:
            database.close()


def make_site(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, folder: Path, url: str, layout: str, redis_url: str | None = None
) -> Site:
    """A site in `folder`; its settings are in the environment of the commands that are run in this process."""
    store = folder / "store"
    settings = {"DATABASE": url, "LAYOUT": layout, "BACKUP_STORE": str(store), "REDIS": redis_url}
    for name, value in settings.items():
        if value is not None:
            monkeypatch.setenv(f"CHATCTL_{name}", value)
    return Site(invoke, url, store)


def redis_client(url: str, db: int = 0) -> redis.Redis:
    """A client of one database of the server; the URL's own number would win over an argument.

    It waits as long as a backup may hold writes back.
    """
    return redis.Redis.from_url(f"{url.rpartition('/')[0]}/{db}", socket_timeout=120)


def fill_redis(url: str) -> dict[tuple[int, str], bytes]:
    """Keys of every type in the databases of the layout `simorgh`, and two counters; what DUMP says of them."""
    sessions, chats = redis_client(url), redis_client(url, 1)
    sessions.set("session:counter:general:202512", 41)
    sessions.set("session:counter:project:AB-1", 7)
    sessions.set("session:G-202512-000041", b'{"a": "\xd9\x86\xff"}', ex=3600)
    sessions.set(b"user:pref:\xff\xfe:theme", "dark")
    chats.rpush("chat:history:G-202512-000041", *[f"line {number}" for number in range(50)])
    chats.sadd("user:u1:chats:all", *[f"G-202512-{number:06d}" for number in range(1, 41)])
    chats.set("chat:G-202512-000041:metadata", '{"chat_id": "G-202512-000041", "user_id": "u1"}')
    return redis_content(url)


def redis_content(url: str) -> dict[tuple[int, str], Any]:
    """Every key but chatctl's own, with its value."""
    found: dict[tuple[int, str], Any] = {}
    for db in range(5):
        with redis_client(url, db) as client:
            for key in client.scan_iter():
                if not key.startswith(b"chatctl:"):
                    found[db, key.decode(errors="backslashreplace")] = _value(client, key)
    return found


def _value(client: redis.Redis, key: bytes) -> Any:
    kind = client.type(key)
    if kind == b"string":
        return client.get(key)
    if kind == b"list":
        return client.lrange(key, 0, -1)
    return client.smembers(key)
