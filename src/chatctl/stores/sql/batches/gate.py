"""What a run waits for between its batches, with no transaction open.

A pause, a stop file, a time window, a replica that lags behind, a busy server.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from datetime import time as clock_time
from pathlib import Path

from chatctl.domain.progress import Progress, StopSignal
from chatctl.errors import InterruptedRunError, StoppedEarlyError
from chatctl.stores.sql.batches.patience import patiently
from chatctl.stores.sql.batches.throttle import Throttle
from chatctl.stores.sql.journal import Journal, RunStatus

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Limits:
    """When a run may work: at most `max_seconds`, in the daily `window` (local time), while no `stop_file` is there."""

    max_seconds: float | None = None
    window: tuple[clock_time, clock_time] | None = None
    stop_file: Path | None = None


class Gate:
    """Asked before every batch of the run `run_id`; `True` lets it go on.

    It waits while the run is paused, while the stop file is there and while one of the journal's thresholds is passed,
    and says why. Raises StoppedEarlyError at the end of the window or of the time, InterruptedRunError where the run
    was cancelled.
    """

    def __init__(
        self, journal: Journal, run_id: str, limits: Limits, progress: Progress, stop: StopSignal,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._run_id = run_id
        self._limits = limits
        self._progress = progress
        self._stop = stop
        self._clock = clock
        self._started = time.monotonic()
        self._throttle = Throttle(journal, run_id)

    def __call__(self) -> bool:
        """Waits until the run may go on; False where a stop was asked for meanwhile."""
        told = None
        while not self._stop.requested:
            self._check_time()
            reason = self._hindrance()
            if reason is None:
                return True
            if reason != told:
                self._progress.note(reason)
                self._progress.state("waiting")
                told = reason
            time.sleep(_POLL_SECONDS)
        return False

    def _hindrance(self) -> str | None:
        asked = time.monotonic()
        status = patiently(self._status)
        taken = time.monotonic() - asked
        if status is RunStatus.CANCELLED:
            raise InterruptedRunError(
                f"Run {self._run_id} was cancelled; what it did stays.",
                hint="chatctl regroup undo takes back what a regrouping did.",
            )
        if status is RunStatus.PAUSED:
            return f"Paused; chatctl runs resume {self._run_id} lets it go on."
        file = self._limits.stop_file
        if file is not None and file.exists():
            return f"Waiting while {file} is there."
        return patiently(lambda: self._throttle.reason(taken))

    def _status(self) -> RunStatus:
        with self._journal.database.connect() as connection:
            return self._journal.runs.get(connection, self._run_id).status

    def _check_time(self) -> None:
        limit = self._limits.max_seconds
        if limit is not None and time.monotonic() - self._started >= limit:
            raise StoppedEarlyError(f"The run may take {limit:,.0f} s, and they are over.")
        window = self._limits.window
        if window is not None and not _inside(self._clock().time(), *window):
            raise StoppedEarlyError(f"The time window {window[0]:%H:%M} to {window[1]:%H:%M} is closed.")


class Resting:
    """A gate that lets the server rest for as long as the last batch took, then asks `gate`. One for each worker."""

    def __init__(self, gate: Callable[[], bool]) -> None:
        self._gate = gate
        self._since: float | None = None

    def __call__(self) -> bool:
        """Whether the run may go on."""
        if self._since is not None:
            time.sleep(time.monotonic() - self._since)
        may_go_on = self._gate()
        self._since = time.monotonic()
        return may_go_on


def _inside(now: clock_time, opens: clock_time, closes: clock_time) -> bool:
    if opens <= closes:
        return opens <= now < closes
    return now >= opens or now < closes
