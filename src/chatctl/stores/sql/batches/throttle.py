"""Whether the servers have had enough: a replica that lags behind, sessions at work, reads that take their time.

Lag is measured by the journal itself: a beat is written beside the data and looked for on the replica. That is the
same for every engine and every kind of replication, needs no privilege there but to read, and shows a replica that has
stopped as well as a slow one.
"""

from __future__ import annotations

import contextlib
import threading
import time

import sqlalchemy as sa

from chatctl.domain.instants import to_epoch_ms
from chatctl.errors import ChatctlError, RepeatedKeyError
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.thresholds import LAG_SECONDS

#: Between two batches that follow each other quickly nothing changes: this often is asked.
SECONDS_BETWEEN_LOOKS = 1.0

_BEAT = "throttle.beat"


class Throttle:
    """Measures what `journal.thresholds` limit for the run `run_id`; may be asked by several workers at once.

    The lag that was measured is kept with the run.
    """

    def __init__(self, journal: Journal, run_id: str) -> None:
        self._database = journal.database
        self._run_id = run_id
        self._meta = journal.tables.meta
        self._lags = journal.tables.lags
        self._limits = journal.thresholds
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._reason: str | None = None

    def reason(self, statement_seconds: float) -> str | None:
        """Why the run has to wait, or None. `statement_seconds` is what reading one row has just taken."""
        with self._lock:
            if self._reason is not None or time.monotonic() - self._asked >= SECONDS_BETWEEN_LOOKS:
                self._reason = self._slow(statement_seconds) or self._busy() or self._lagging()
                self._asked = time.monotonic()
            return self._reason

    def _slow(self, seconds: float) -> str | None:
        limit = self._limits.statement_ms
        if limit is None or seconds * 1000 <= limit:
            return None
        return f"Waiting while a read of one row takes longer than {limit:,} ms."

    def _busy(self) -> str | None:
        limit = self._limits.running
        if limit is None:
            return None
        with self._database.connect() as connection:
            busy = self._database.dialect.running(connection) > limit
        return f"Waiting while more than {limit:,} sessions are at work." if busy else None

    def _lagging(self) -> str | None:
        replica, limit = self._limits.replica, self._limits.lag_seconds or LAG_SECONDS
        if replica is None:
            return None
        now = self._beat()
        try:
            arrived = self._arrived(replica)
        except ChatctlError as problem:
            return f"Waiting while the replica can't be read: {problem.message}"
        if arrived is not None:
            self._keep(now, max(0, now - arrived))
            if now - arrived <= limit * 1000:
                return None
        return f"Waiting while the replica is more than {limit:,} s behind."

    def _beat(self) -> int:
        """Writes a new beat; returns it: the server's clock in epoch milliseconds."""
        table = self._meta
        with self._database.connect() as connection:
            now = to_epoch_ms(self._database.dialect.now(connection))
        # Another worker's beat, written in the same moment, does as well.
        with contextlib.suppress(RepeatedKeyError), self._database.begin() as connection:
            written = connection.execute(table.update().where(table.c.name == _BEAT).values(value=str(now)))
            if not written.rowcount:
                connection.execute(table.insert().values(name=_BEAT, value=str(now)))
        return now

    def _keep(self, measured_ms: int, lag_ms: int) -> None:
        values = {"run_id": self._run_id, "measured_ms": measured_ms, "lag_ms": lag_ms}
        with contextlib.suppress(RepeatedKeyError), self._database.begin() as connection:
            connection.execute(self._lags.insert().values(**values))

    def _arrived(self, replica: Database) -> int | None:
        with replica.connect() as connection:
            text = connection.scalar(sa.select(self._meta.c.value).where(self._meta.c.name == _BEAT))
        return int(text) if text is not None else None
