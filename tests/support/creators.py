"""Many processes that create sessions at the same time; run as a module, their parent.

python -m tests.support.creators WAY REDIS_URL DATABASE_URL COUNT PROCESSES
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chatctl.domain.counters import Draft
from chatctl.domain.session_ids import Month, Scope, SessionId
from chatctl.domain.sessions import general_record, project_record
from chatctl.layouts import load_layout
from chatctl.services.counters.issuing import Issuer
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.high_water import SqlHighWater
from chatctl.stores.sql.journal import Journal

NOW = datetime(2025, 12, 3, 10, 30, tzinfo=UTC)
GENERAL = Scope.general(Month.at(NOW))
PROJECTS = [Scope.of_project(name) for name in ("1", "12345", "AB-CD")]
SCOPES = [GENERAL, *PROJECTS]


def stores(redis_url: str) -> RedisStores:
    """Redis as the layout simorgh has it."""
    return RedisStores(redis_url, load_layout("simorgh").redis, Path("/nonexistent"))


_opened: list[Database] = []


def opened_database(url: str) -> Database:
    """The database at `url`, to be closed by `close_databases`."""
    _opened.append(Database(url))
    return _opened[-1]


def close_databases() -> None:
    """Gives back every connection of databases that were opened here."""
    while _opened:
        _opened.pop().close()


def high_water(database_url: str) -> SqlHighWater:
    """The durable marks, their table made."""
    database = opened_database(database_url)
    marks = SqlHighWater(database, Journal(database))
    marks.prepare()
    return marks


def draft(scope: Scope, user: str) -> Draft:
    """A session of `scope` to be created."""
    if scope.project:
        record = project_record(user, scope.project, "A project", "A page", None, NOW)
    else:
        record = general_record(user, NOW)
    return Draft(scope, user, record, uuid.uuid4().hex)


class Forgetful:
    """What stands in for the durable marks in negative controls: it agrees to everything and knows nothing."""

    issued_numbers: Mapping[str, int] = {}
    issued = 0
    fence = ""

    def mark(self, scope: Scope, number: int, fence: str, counted: Callable[[], int]) -> bool:
        return True

    @contextmanager
    def turn(self, scope: Scope) -> Iterator[Forgetful]:
        yield self

    def take(self, fence: str, issued: int) -> None:
        return None

    def observe(self, found: Mapping[str, int]) -> None:
        return None


def naive_create(redis: RedisStores, scope: Scope, user: str) -> SessionId:
    """As the system was: INCR, then SET, then SADD, nothing looked at."""
    counters = redis.servers.client(redis.keys.db("counter_general"))
    chats = redis.servers.client(redis.keys.db("chat_metadata"))
    session = scope.id(counters.incr(redis.keys.counter(scope).name))
    chats.set(redis.keys.session("chat_metadata", session).name, f'{{"chat_id": "{session}", "user_id": "{user}"}}')
    chats.sadd(redis.keys.index("user_chats_all", scope.name, user).name, str(session))
    return session


@dataclass(frozen=True)
class Created:
    """One session that a process was told it had created."""

    id: str
    user: str


def swarm(
    redis_url: str,
    database_url: str,
    *,
    processes: int,
    sessions: int,
    way: str = "chatctl",
    disturb: Callable[[threading.Event], None] | None = None,
) -> list[Created]:
    """What `processes` processes were told they created, `sessions` in all; `disturb` runs beside them until set."""
    if way == "chatctl":
        high_water(database_url)
    numbers = [str(sessions // processes), str(processes)]
    command = [sys.executable, "-m", "tests.support.creators", way, redis_url, database_url, *numbers]
    over = threading.Event()
    disturber = threading.Thread(target=disturb, args=(over,)) if disturb else None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        if disturber:
            disturber.start()
        try:
            output, _ = running.communicate(timeout=3600)
        finally:
            running.kill()
            over.set()
            if disturber:
                disturber.join()
    assert running.returncode == 0, running.returncode
    return [Created(*line.split(" ")) for line in output.splitlines()]


def main(way: str, redis_url: str, database_url: str, count: int, processes: int) -> None:
    """Forks `processes` processes that create `count` sessions each; fails where one of them has."""
    if way == "chatctl":
        # What a fork would have to import is imported once; connections are each one's own.
        high_water(database_url)
        close_databases()
    for number in range(processes):
        if os.fork() == 0:
            os._exit(_create_many(way, redis_url, database_url, count, f"user{number}"))
    codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(processes)]
    if any(codes):
        sys.exit(1)


def _create_many(way: str, redis_url: str, database_url: str, count: int, user: str) -> int:
    """Creates sessions in turn in every scope and prints each once it was told so; the exit code."""
    try:
        redis = stores(redis_url)
        if way == "chatctl":
            issuer = Issuer(redis.counters, high_water(database_url))
        for number in range(count):
            scope = SCOPES[number % len(SCOPES)]
            redis.sessions.prepare_user(user, scope.name)
            session = issuer.create(draft(scope, user)) if way == "chatctl" else naive_create(redis, scope, user)
            # In one piece: all of them write to the same pipe.
            os.write(1, f"{session} {user}\n".encode())
        redis.close()
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def numbers_by_scope(created: Sequence[Created]) -> dict[str, list[int]]:
    """The numbers of each scope, sorted."""
    from chatctl.domain.session_ids import parse_session

    found: dict[str, list[int]] = {}
    for item in created:
        session = parse_session(item.id)
        assert isinstance(session, SessionId)
        found.setdefault(session.scope.name, []).append(session.number)
    return {name: sorted(numbers) for name, numbers in found.items()}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
