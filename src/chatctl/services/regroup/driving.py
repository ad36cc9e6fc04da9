"""Drives a run: pass by pass over the messages, phase by phase, each shared out to workers by the batch runner."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatctl.domain.durations import parse_duration
from chatctl.domain.progress import Progress, StopSignal
from chatctl.errors import RepeatedKeyError, UsageError
from chatctl.services.regroup.target import RegroupTarget
from chatctl.stores.sql.batches import BatchRunner, Pace, RunTotals
from chatctl.stores.sql.batches.gate import Gate, Limits, Resting
from chatctl.stores.sql.batches.patience import patiently
from chatctl.stores.sql.batches.ranges import Ranges, added
from chatctl.stores.sql.journal import Run
from chatctl.stores.sql.regroup import Scheme
from chatctl.stores.sql.regroup.counting import all_are_linked
from chatctl.stores.sql.regroup.phase import Phase
from chatctl.stores.sql.thresholds import Thresholds

#: How long to wait before looking again whether other workers are through.
_WAIT_SECONDS = 0.3
#: How long a batch takes, and how many rows the first one has, where the server is to be spared.
_GENTLE_MS, _FIRST_GENTLE_BATCH = 100, 500


@dataclass(frozen=True)
class Crew:
    """Who works on a run, how, and who watches.

    `batch_size` fixes the size of batches, which otherwise find their own. `guard` is called in each batch's
    transaction and raises where the run may no longer write. `follow` keeps a run looking for what arrives.
    """

    progress: Progress
    stop: StopSignal
    batch_size: int | None = None
    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    guard: Callable[[sa.Connection], None] | None = None
    follow: bool = False


class Driver:
    """Runs phases of `run` to their end."""

    def __init__(self, target: RegroupTarget, run: Run, crew: Crew) -> None:
        self._target = target
        self._run = run
        self._crew = crew
        self._database = target.database
        self._ranges = Ranges(target.journal)
        self._gate = Gate(target.journal, run.id, crew.limits, crew.progress, crew.stop)
        self.counts: dict[str, int] = {}
        self.batches = 0

    def phase(self, phase: Phase, total: int | None = None) -> RunTotals | None:
        """Works until the phase is done, by whomever; None where a stop came first."""
        number = self._number(phase)
        self._share_out(number, phase)
        self._crew.progress.note(f"{phase.title} …")
        self._crew.progress.start(total, phase.unit)
        # Where the engine lets one writer in at a time, more of them would only wait for each other.
        workers = 1 if self._database.dialect.in_process else self._crew.workers
        while True:
            self._work(number, phase, workers)
            rows, batches, still_open, counts = patiently(lambda: self._totals(number))
            if not still_open:
                break
            if not self._gate():
                return None
            time.sleep(_WAIT_SECONDS)
        self.counts = added(self.counts, counts)
        self.batches += batches
        return RunTotals(rows, batches, 0.0, True, counts)

    def all_are_linked(self, scheme: Scheme) -> bool:
        """Whether a look would find nothing, which an index tells where each message has its chat."""
        with self._database.connect() as connection:
            return all_are_linked(connection, scheme)

    def pause(self, seconds: float, phase: Phase) -> bool:
        """Waits, then lets `phase`, which found nothing, begin anew; False where a stop was asked for meanwhile."""
        self._crew.progress.note("Waiting for what arrives …")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self._gate():
                return False
            time.sleep(_WAIT_SECONDS)
        self.forget_fruitless(phase)
        return True

    def is_done(self, phase: Phase) -> bool:
        """Whether the phase came to its end before, in this attempt or in an earlier one."""
        _, batches, still_open, _ = self._totals(self._number(phase))
        return batches > 0 and still_open == 0

    def forget_fruitless(self, phase: Phase) -> None:
        """Lets `phase`, which found nothing, begin anew."""
        with self._database.begin() as connection:
            self._ranges.forget_fruitless(connection, self._number(phase))

    def _number(self, phase: Phase) -> str:
        return f"{self._run.id}/{phase.round}{phase.name}"

    def _totals(self, number: str) -> tuple[int, int, int, dict[str, int]]:
        with self._database.connect() as connection:
            return self._ranges.totals(connection, number)

    def _work(self, number: str, phase: Phase, workers: int) -> None:
        if workers == 1:
            # In this thread: what SQLite keeps in memory would else be allotted anew for each phase's thread.
            self._worker(number, phase).run()
            return
        with ThreadPoolExecutor(workers, thread_name_prefix=phase.name) as pool:
            results = [pool.submit(self._worker(number, phase).run) for _ in range(workers)]
            for result in results:
                result.result()

    def _worker(self, number: str, phase: Phase) -> BatchRunner:
        journal, dialect = self._target.journal, self._database.dialect
        # Whoever says what the server has to be spared lives with a slower run.
        gentle = journal.thresholds != Thresholds()
        return BatchRunner(
            journal,
            number,
            phase,
            pace=Pace(
                start=min(phase.first_batch, _FIRST_GENTLE_BATCH) if gentle else phase.first_batch,
                target_ms=_GENTLE_MS if gentle else max(phase.target_ms, dialect.batch_ms),
                largest=min(phase.largest_batch, dialect.batch_rows),
                fixed=self._crew.batch_size,
            ),
            progress=self._crew.progress,
            stop=self._crew.stop,
            guard=self._crew.guard,
            gate=Resting(self._gate) if gentle else self._gate,
        )

    def _share_out(self, number: str, phase: Phase) -> None:
        with self._database.connect() as connection:
            phase.look_around(connection)
            bounds = phase.bounds(connection)
        # Another process that joined the run may have shared it out in the same moment, which is as good.
        with contextlib.suppress(RepeatedKeyError), self._database.begin() as connection:
            self._ranges.add(connection, number, bounds)


def limits(max_runtime: str | None, window: str | None, stop_file: Path | None) -> Limits:
    """When a run may work: `30m`, `22:00-06:00`, a file that holds it up. Raises UsageError."""
    seconds = parse_duration(max_runtime).total_seconds() if max_runtime else None
    return Limits(seconds, _window(window) if window else None, stop_file)


def _window(text: str) -> tuple[clock_time, clock_time]:
    opens, _, closes = text.partition("-")
    try:
        return clock_time.fromisoformat(opens.strip()), clock_time.fromisoformat(closes.strip())
    except ValueError:
        raise UsageError(f"'{text}' is no time window.", hint="It looks like 22:00-06:00, in local time.") from None


@contextlib.contextmanager
def stopwatch() -> Iterator[dict[str, Any]]:
    """A dictionary that holds `seconds` once the block is through."""
    taken: dict[str, Any] = {}
    began = time.monotonic()
    yield taken
    taken["seconds"] = round(time.monotonic() - began, 3)
