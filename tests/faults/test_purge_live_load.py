"""A purge beside an application that writes 200 times a second, with a real replica that has to keep up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.cli import Cli
from tests.support.processes import ServerUnavailableError
from tests.support.purging import PurgeBed, bed
from tests.support.replicas import PRIMARIES
from tests.support.servers import without

from chatctl.stores.sql.database import Database

log = logging.getLogger(__name__)

WRITES_A_SECOND = 200
WRITERS = 4
LAG_SECONDS = 2
CHATS = 15_000
QUIET_SECONDS = 12

SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@dataclass
class Application:
    """Writers at a steady rate; `milliseconds` is what each of their transactions took, `lags` the replica's."""

    url: str
    replica_url: str
    milliseconds: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        over = threading.Event()
        parts = [threading.Thread(target=self._kept, args=(self._write, over, number)) for number in range(WRITERS)]
        parts.append(threading.Thread(target=self._kept, args=(self._watch, over, 0)))
        for part in parts:
            part.start()
        try:
            yield
        finally:
            over.set()
            for part in parts:
                part.join()
        assert self.problems == []

    def _kept(self, action: Any, over: threading.Event, number: int) -> None:
        try:
            action(over, number)
        except BaseException as problem:
            self.problems.append(problem)

    def _write(self, over: threading.Event, number: int) -> None:
        """Adds a message to a living conversation and notes the access, as the application does."""
        database, turn = Database(self.url), 0
        due = time.monotonic()
        while not over.is_set():
            due += WRITERS / WRITES_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            turn += 1
            now = int(time.time() * 1000)
            name = f"live{number}_{turn % 50}"
            started = time.perf_counter()
            with database.begin() as connection:
                connection.execute(
                    sa.text("UPDATE conversations SET last_accessed_at = :now WHERE session_id = :name"),
                    {"now": now, "name": name},
                )
                connection.execute(
                    sa.text(
                        "INSERT INTO messages (session_id, timestamp, role, content)"
                        " VALUES (:name, :now, 'user', '\"x\"')"
                    ),
                    {"now": now, "name": name},
                )
            self.milliseconds.append((time.perf_counter() - started) * 1000)
        database.close()

    def _watch(self, over: threading.Event, number: int) -> None:
        """Looks for the newest write on the replica, ten times a second."""
        replica = Database(self.replica_url, read_only=True)
        newest = sa.text("SELECT MAX(last_accessed_at) FROM conversations")
        while not over.wait(0.1):
            with replica.connect() as connection:
                arrived = connection.scalar(newest) or 0
            self.lags.append(time.time() - arrived / 1000)
        replica.close()

    def p99(self) -> float:
        """The 99th percentile of the transactions since the last call, in milliseconds."""
        taken, self.milliseconds = sorted(self.milliseconds), []
        return taken[int(len(taken) * 0.99)]


@pytest.fixture
def replicated(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    """A server and its replica."""
    kind = {"mariadb": "mysql"}.get(request.param, request.param)
    try:
        primary = PRIMARIES[request.param]()
    except ServerUnavailableError as problem:
        without(kind, str(problem))
    with primary, primary.follower() as replica:
        yield primary, replica


def filled(url: str, folder: Path) -> PurgeBed:
    """Expired conversations of ten messages each, and living ones that the application writes to."""
    made = bed(url, "worker", folder)
    now = datetime.now(UTC)
    old = now - timedelta(days=60)
    with made.database.begin() as connection:
        chats, messages = made.tables["chats"], made.tables["messages"]
        living = [f"live{writer}_{turn}" for writer in range(WRITERS) for turn in range(50)]
        names = [(f"old{number}", old) for number in range(CHATS)] + [(name, now) for name in living]
        for start in range(0, len(names), 2_000):
            part = names[start : start + 2_000]
            rows = [{"id": name, "account_id": "a", "created_at": at, "accessed_at": at} for name, at in part]
            connection.execute(chats.insert(), rows)
            said = [
                {"chat_id": name, "created_at": at, "role": "user", "content": "why? " * 20}
                for name, at in part
                for _ in range(10)
            ]
            connection.execute(messages.insert(), said)
    return made


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("replicated", SERVERS, indirect=True)
def test_the_replica_keeps_up_and_the_application_hardly_notices(
    replicated: tuple[Any, Any], run_cli: Cli, tmp_path: Path
) -> None:
    primary, replica = replicated
    url = primary.databases.create_database()
    made = filled(url, tmp_path)
    replica_url = replica.databases.url_of(sa.make_url(url).database or "")
    copy = Database(replica_url, read_only=True)
    application = Application(url, replica_url)
    wait_for_copy(copy)
    run_cli.environment.update(
        CHATCTL_DATABASE=url,
        CHATCTL_LAYOUT="worker",
        CHATCTL_THROTTLE_REPLICA=replica_url,
        CHATCTL_THROTTLE_MAX_LAG_SECONDS=str(LAG_SECONDS),
    )
    with application.at_work():
        time.sleep(3)
        application.p99()
        time.sleep(QUIET_SECONDS)
        quiet, quiet_lag = application.p99(), max(application.lags)
        application.lags.clear()
        done = run_cli("purge", "--confirm", "default", "--output", "json").json
        seconds, busy, lag = done["data"]["seconds"], application.p99(), max(application.lags)
    copy.close()
    made.close()
    log.warning(
        "%s: p99 %.1f ms alone, %.1f ms beside the purge (%.2f times); lag %.2f s alone, %.2f s beside it; %.0f s",
        made.database.dialect.name, quiet, busy, busy / quiet, quiet_lag, lag, seconds,
    )  # fmt: skip
    assert done["data"]["deleted_chats"] == CHATS
    assert lag < LAG_SECONDS
    assert busy < 2 * quiet


def wait_for_copy(copy: Database) -> None:
    """Returns once the replica has every row that was filled in."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with copy.connect() as connection:
                if connection.scalar(sa.text("SELECT COUNT(*) FROM conversations")) == CHATS + WRITERS * 50:
                    return
        except Exception:
            log.debug("not yet", exc_info=True)
        time.sleep(0.2)
    raise TimeoutError("the replica never got there")
