"""An application goes on writing while its messages are regrouped: none is lost, none left behind, none held up."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.support.regrouping import Mentored, Message

from chatctl.stores.sql.database import Database

log = logging.getLogger(__name__)

START = datetime(2026, 1, 1, tzinfo=UTC)
SOAK = bool(os.environ.get("CHATCTL_SOAK"))
#: Messages that are there, messages a second that come, and how long writes are measured without a run.
ROWS, RATE, SECONDS = (300_000, 200, 20.0) if SOAK else (3_000, 40, 1.0)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)] if SOAK else []


class Application:
    """Inserts messages of the old kind, one a transaction, `RATE` a second, and takes the time that each takes."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.written: list[str] = []
        self.seconds: list[float] = []

    def p99(self, since: int = 0) -> float:
        """Of the inserts from number `since` on, in milliseconds."""
        taken = sorted(self.seconds[since:])
        return taken[int(len(taken) * 0.99)] * 1000

    def _write(self) -> None:
        due = time.monotonic()
        insert = sa.text(
            'INSERT INTO messages (id, "userId", "mentorId", role, content, "createdAt")'.replace(
                '"', self._database.engine.dialect.identifier_preparer.initial_quote
            )
            + " VALUES (:id, :user, :mentor, 'user', 'live', :at)"
        )
        while not self._stop.is_set():
            identity = f"live{len(self.written):08d}"
            row = {
                "id": identity,
                "user": f"u{len(self.written) % 97}",
                "mentor": "m1",
                "at": datetime.now(UTC).replace(tzinfo=None, microsecond=0).isoformat(sep=" "),
            }
            began = time.monotonic()
            with self._database.begin() as connection:
                connection.execute(insert, row)
            self.seconds.append(time.monotonic() - began)
            self.written.append(identity)
            due += 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))

    def __enter__(self) -> Application:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._database.close()


@contextmanager
def filled(url: str) -> Iterator[Mentored]:
    made = Mentored(url)
    made.fill(Message(f"id{n:08d}", f"u{n % 977}", f"m{n % 7}", START + timedelta(seconds=n)) for n in range(ROWS))
    yield made
    made.close()


def test_no_message_of_a_writing_application_is_lost_or_left_behind(engine_url: str) -> None:
    with filled(engine_url) as mentored:
        with Application(engine_url) as application:
            time.sleep(SECONDS)
            alone = application.p99()
            before = len(application.written)
            result = mentored.regroup(workers=2)
            beside = application.p99(before)
            during = len(application.written) - before
        last = mentored.regroup()
        log.info(
            "%s: %d rows in %.1f s, %d written meanwhile; p99 %.1f ms alone, %.1f ms beside the run",
            mentored.database.dialect.name,
            result.data["messages_moved"],
            result.data["seconds"],
            during,
            alone,
            beside,
        )

        messages = mentored.tables["messages"]
        with mentored.database.connect() as connection:
            there = set(connection.scalars(sa.select(messages.c.id).where(messages.c.id.startswith("live"))))
            without = connection.scalar(sa.select(sa.func.count()).where(messages.c.chat_id.is_(None)))
        assert during > 0
        assert there == set(application.written)
        assert without == 0
        assert last.data["messages_moved"] + result.data["messages_moved"] == ROWS + len(application.written)
        assert [check for check in mentored.verify().data["checks"] if not check["ok"]] == []
        # A few writes beside other tests prove nothing about the slowest of a hundred.
        if SOAK and not mentored.database.dialect.in_process:
            assert beside <= 2 * alone
