"""An application that goes on writing at a steady rate, and how long each of its writes took."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from tests.support.legacy import row_of

from chatctl.layouts import Phase, load_layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.tables import LayoutTables

CONNECTIONS = 12


@dataclass(frozen=True)
class Write:
    """When a write was due, by time.monotonic(), and how long it took from then until it was committed."""

    due: float
    seconds: float


@dataclass
class SteadyWrites:
    """Rows that are written into every legacy table of `layout` in turn, `per_second` of them, whatever they meet.

    A write that has to wait doesn't keep the later ones from being due: what is measured is what users would feel.
    """

    url: str
    layout: str
    per_second: float = 200
    done: list[Write] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Writes while the block runs."""
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._began = time.monotonic()
        threads = [threading.Thread(target=self._write_on, daemon=True) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def stalls(self, since: float, until: float) -> list[float]:
        """How long the writes took that were due in that time, shortest first."""
        return sorted(write.seconds for write in self.done if since <= write.due <= until)

    def _write_on(self) -> None:
        layout = load_layout(self.layout)
        tables = LayoutTables(layout, Phase.LEGACY)
        keys = list(tables)
        database = Database(self.url)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not self._stop.is_set():
                number = next(self._numbers)
                due = self._began + number / self.per_second
                time.sleep(max(0.0, due - time.monotonic()))
                key = keys[number % len(keys)]
                row = row_of(layout, key, 1_000 + number, referring_to=number % 3)
                self._write(connection, tables[key].insert(), row)
                self.done.append(Write(due, time.monotonic() - due))
        database.close()

    def _write(self, connection: sa.Connection, insert: sa.Insert, row: dict[str, Any]) -> None:
        try:
            connection.execute(insert, row)
        except sa.exc.DBAPIError as problem:
            self.problems.append(str(problem.orig))


def percentile(ordered: list[float], part: float) -> float:
    """The value below which that part of them lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
