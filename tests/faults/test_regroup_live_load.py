"""A regrouping beside an application that goes on inserting messages of the old kind, 200 a second."""

from __future__ import annotations

import itertools
import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.support.cli import Cli
from tests.support.regrouping import Mentored, Message, crew, partition
from tests.support.steady_writes import percentile

from chatctl.services.regroup import running
from chatctl.services.regroup.target import Request

log = logging.getLogger(__name__)

WRITES_A_SECOND = 200
WRITERS = 4
USERS, MENTORS = 400, 20
QUIET_SECONDS = 15
FOLLOWED_SECONDS = 60
STOPPED_EARLY = 12
#: Messages that are there beforehand.
ROWS = int(os.environ.get("BENCH_ROWS", "200000"))
START = datetime(2026, 1, 1, tzinfo=UTC)


def message(chance: random.Random, number: int, at: datetime, prefix: str = "old") -> Message:
    """One of a few busy users' or of many others', and one in ten without a mentor."""
    user = f"u{int(USERS * chance.random() ** 3)}"
    mentor = None if chance.random() < 0.1 else f"m{chance.randrange(MENTORS)}"
    return Message(f"{prefix}{number:08d}", user, mentor, at, "text " * 20)


def old_messages(count: int) -> list[Message]:
    chance = random.Random(count)
    return [message(chance, number, START + timedelta(seconds=number)) for number in range(count)]


@dataclass
class Application:
    """Inserts messages at a steady rate: `done` are those that were committed, with the seconds that each took."""

    url: str
    done: list[tuple[Message, float]] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Writes while the block runs."""
        self._over = threading.Event()
        self._numbers, self._began = itertools.count(), time.monotonic()
        self._writers = [threading.Thread(target=self._kept, args=(number,)) for number in range(WRITERS)]
        for writer in self._writers:
            writer.start()
        try:
            yield
        finally:
            self.stop()
        assert self.problems == []

    def stop(self) -> None:
        """Writes no more; what was on its way is there."""
        self._over.set()
        for writer in self._writers:
            writer.join()

    def p99(self, since: int = 0) -> float:
        """The 99th percentile of how long an insert took, in milliseconds, from the `since`th on."""
        return percentile(sorted(seconds for _, seconds in self.done[since:]), 0.99) * 1000

    def _kept(self, writer: int) -> None:
        try:
            self._write(random.Random(writer))
        except BaseException as problem:
            self.problems.append(problem)

    def _write(self, chance: random.Random) -> None:
        mentored = Mentored(self.url, made=True)
        messages = mentored.tables["messages"]
        while not self._over.is_set():
            number = next(self._numbers)
            time.sleep(max(0.0, self._began + number / WRITES_A_SECOND - time.monotonic()))
            # What an application sends has the milliseconds that its column keeps.
            now = datetime.now(UTC)
            said = message(chance, number, now.replace(microsecond=now.microsecond // 1000 * 1000), "new")
            row = {"id": said.id, "user_id": said.user_id, "mentor_id": said.mentor_id, "role": "user",
                   "content": said.content, "created_at": said.created_at}  # fmt: skip
            began = time.perf_counter()
            with mentored.database.begin() as connection:
                connection.execute(messages.insert().values(row))
            self.done.append((said, time.perf_counter() - began))
        mentored.close()


def left_behind(mentored: Mentored) -> int:
    """How many messages could have a chat and have none."""
    messages = mentored.tables["messages"]
    with mentored.database.connect() as connection:
        without = sa.select(sa.func.count()).where(messages.c.chat_id.is_(None), messages.c.mentor_id.is_not(None))
        return int(connection.scalar(without.select_from(messages)) or 0)


@pytest.mark.parametrize("gap", ["none", "6h"])
def test_what_is_written_meanwhile_is_neither_lost_nor_left_behind(engine_url: str, gap: str) -> None:
    mentored = Mentored(engine_url)
    old = old_messages(3_000)
    mentored.fill(old)
    application = Application(engine_url)
    watched = crew(batch_size=500)
    passes: list[str] = []

    def note(text: str) -> None:
        passes.extend([text] if text.startswith("looking") else [])
        # The old version stops while the new one is still at it: from then on there is an end to be found.
        if len(passes) == 2:
            application.stop()

    watched.progress.note = note
    with application.at_work():
        time.sleep(0.5)
        result = running.start(mentored.target, mentored.target.grouping(Request(gap=gap)), watched)

    written = [said for said, _ in application.done]
    assert len(written) > 20
    assert result.data["passes"] >= 2
    assert left_behind(mentored) == 0
    assert mentored.partition() == partition([*old, *written], None if gap == "none" else 6 * 3600)
    assert [check for check in mentored.verify().data["checks"] if not check["ok"]] == []
    mentored.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("gap", "spared"), [("none", False), ("6h", False), ("none", True)])
def test_the_application_hardly_notices(run_cli: Cli, engine_url: str, gap: str, *, spared: bool) -> None:
    mentored = Mentored(engine_url)
    old = old_messages(ROWS)
    mentored.fill(old)
    run_cli.environment.update(CHATCTL_DATABASE=engine_url, CHATCTL_LAYOUT="mentor")
    if spared:
        # A threshold that is never passed: what counts is that there is one.
        run_cli.environment["CHATCTL_THROTTLE_MAX_STATEMENT_MS"] = "60000"
    application = Application(engine_url)
    with application.at_work():
        time.sleep(3)
        begin = len(application.done)
        time.sleep(QUIET_SECONDS)
        quiet, before = application.p99(begin), len(application.done)
        # Where pauses count, only the run itself knows which chat a late message goes on with: it follows.
        follows = () if gap == "none" else ("--follow", "--max-runtime", f"{FOLLOWED_SECONDS}s")
        first = run_cli("regroup", "run", "--gap", gap, *follows, "--output", "json", timeout_seconds=900).json
        busy = application.p99(before)
    rest = run_cli("regroup", "run", "--gap", gap, "--output", "json", timeout_seconds=900).json
    slowest = max(seconds for _, seconds in application.done[before:])

    assert (first["exit_code"], rest["exit_code"]) == (STOPPED_EARLY if follows else 0, 0)
    assert left_behind(mentored) == 0
    written = [said for said, _ in application.done]
    assert mentored.partition() == partition([*old, *written], None if gap == "none" else 6 * 3600)
    assert run_cli("regroup", "verify").exit_code == 0
    log.warning(
        "%s, gap %s, %s: p99 %.1f ms alone, %.1f ms beside the run (%.2f times), at most %.0f ms",
        mentored.database.dialect.name, gap, "spared" if spared else "plain", quiet, busy, busy / quiet, slowest * 1000,
    )  # fmt: skip
    log.warning(
        "of %d written meanwhile %d were left to a second run",
        len(application.done) - before, rest["data"]["messages_moved"],
    )  # fmt: skip
    mentored.close()
    if not (follows or mentored.database.dialect.in_process):
        assert busy < 2 * quiet
