"""Ranges in the journal: adding, claiming, advancing them, and looking up what became of a batch."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import to_epoch_ms
from chatctl.errors import LeaseLostError
from chatctl.stores.sql.batches.work import BatchOutcome, Position
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.journal.runs import now_ms

#: What a worker's name holds of its host's name.
_HOST_CHARACTERS = 40

#: How long a worker that commits nothing keeps its range.
LEASE_SECONDS = 60

_OPEN = "open"
_DONE = "done"


class RangeTakenOverError(LeaseLostError):
    """Another worker goes on with this worker's range."""


def worker_name() -> str:
    """A name for a new worker: host, process, and something that no other worker has."""
    return f"{socket.gethostname()[-_HOST_CHARACTERS:]}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Range:
    """A claimed range: `token` proves the claim; `counts` are the totals of its batches so far."""

    run_id: str
    number: int
    bounds: Position
    position: Position
    counts: dict[str, int]
    rows_done: int
    batches: int
    token: int


class Ranges:
    """The ranges of runs, in `chatctl_ranges` and `chatctl_batches`."""

    def __init__(self, journal: Journal) -> None:
        self._dialect = journal.database.dialect
        self._table = journal.tables.ranges
        self._batches = journal.tables.batches

    def add(self, connection: sa.Connection, run_id: str, bounds: Sequence[Position]) -> None:
        """Adds one open range for each of `bounds`, which may be none, unless the run has ranges already."""
        counted = sa.select(sa.func.count()).select_from(self._table).where(self._table.c.run_id == run_id)
        if not bounds or connection.scalar(counted):
            return
        rows = [
            {
                "run_id": run_id,
                "number": number,
                "bounds": json.dumps(bound),
                "position": json.dumps({"at": {}, "counts": {}}),
                "state": _OPEN,
                "rows_done": 0,
                "batches": 0,
                "worker": None,
                "lease_token": 0,
                "lease_until_ms": 0,
                "error": None,
            }
            for number, bound in enumerate(bounds)
        ]
        connection.execute(self._table.insert(), rows)

    def forget_fruitless(self, connection: sa.Connection, run_id: str) -> None:
        """Takes ranges and batches in which nothing was found out of the journal, so that they can be shared out anew.

        Where others have done so already and are at work on it, theirs stay.
        """
        column = self._table.c
        query = sa.select(column.state, column.rows_done).where(column.run_id == run_id).with_for_update()
        if any(row.state == _OPEN or row.rows_done for row in connection.execute(query).all()):
            return
        for table in (self._batches, self._table):
            connection.execute(table.delete().where(table.c.run_id == run_id))

    def reread(self, connection: sa.Connection, claimed: Range) -> tuple[Range, bool]:
        """The range as the journal has it now, under the same claim, and whether it is at its end."""
        column = self._table.c
        row = connection.execute(
            sa.select(self._table).where(column.run_id == claimed.run_id, column.number == claimed.number)
        ).one()
        return _range(row, claimed.token), row.state == _DONE

    def claim(self, connection: sa.Connection, run_id: str, worker: str, *, alone: bool) -> Range | None:
        """Leases an open range that nobody works on; any open one where this worker is known to be alone.

        A worker claims when it has none: one under its own name is a claim whose answer was lost.
        """
        column = self._table.c
        now = to_epoch_ms(self._dialect.now(connection))
        query = sa.select(self._table).where(column.run_id == run_id, column.state == _OPEN).order_by(column.number)
        for row in connection.execute(query).all():
            # One that ends much later than a new one was written before the server's clock was set back.
            leased = now <= row.lease_until_ms <= now + 2 * LEASE_SECONDS * 1000
            if leased and not (alone or row.worker == worker or _died_here(row.worker)):
                continue
            taken = connection.execute(
                self._table.update()
                .where(column.run_id == run_id, column.number == row.number, column.lease_token == row.lease_token)
                .values(worker=worker, lease_token=row.lease_token + 1, lease_until_ms=now + LEASE_SECONDS * 1000)
            )
            if taken.rowcount == 1:
                return _range(row, row.lease_token + 1)
        return None

    def require_held(self, connection: sa.Connection, claimed: Range) -> None:
        """Raises RangeTakenOverError where the claim is no longer this worker's."""
        column = self._table.c
        query = sa.select(column.lease_token).where(column.run_id == claimed.run_id, column.number == claimed.number)
        if connection.scalar(query) != claimed.token:
            raise _taken_over(claimed)

    def advance(
        self, connection: sa.Connection, claimed: Range, outcome: BatchOutcome, token: str, milliseconds: int
    ) -> Range:
        """Moves the range by one batch and notes it, in the batch's own transaction.

        Raises RangeTakenOverError, so that the transaction rolls back, where another worker has taken the range over.
        """
        counts = added(claimed.counts, outcome.counts)
        lease_until = to_epoch_ms(self._dialect.now(connection)) + LEASE_SECONDS * 1000
        column = self._table.c
        moved = connection.execute(
            self._table.update()
            .where(
                column.run_id == claimed.run_id,
                column.number == claimed.number,
                column.lease_token == claimed.token,
            )
            .values(
                position=json.dumps({"at": outcome.position, "counts": counts}),
                state=_DONE if outcome.finished else _OPEN,
                rows_done=claimed.rows_done + outcome.rows,
                batches=claimed.batches + 1,
                lease_until_ms=0 if outcome.finished else lease_until,
            )
        )
        if moved.rowcount != 1:
            raise _taken_over(claimed)
        connection.execute(
            self._batches.insert().values(
                run_id=claimed.run_id,
                range_number=claimed.number,
                number=claimed.batches + 1,
                token=token,
                row_count=outcome.rows,
                milliseconds=milliseconds,
                committed_ms=now_ms(),
            )
        )
        return replace(
            claimed,
            position=outcome.position,
            counts=counts,
            rows_done=claimed.rows_done + outcome.rows,
            batches=claimed.batches + 1,
        )

    def positions(self, connection: sa.Connection, run_id: str) -> list[Position]:
        """Where each range of the run stands, in the order of their numbers."""
        column = self._table.c
        query = sa.select(column.position).where(column.run_id == run_id).order_by(column.number)
        return [json.loads(text)["at"] for text in connection.scalars(query)]

    def was_committed(self, connection: sa.Connection, claimed: Range, token: str) -> bool:
        """Whether the batch after `claimed` that carries `token` is in the journal: what became of a lost COMMIT."""
        column = self._batches.c
        found = connection.scalar(
            sa.select(column.token).where(
                column.run_id == claimed.run_id,
                column.range_number == claimed.number,
                column.number == claimed.batches + 1,
            )
        )
        return found == token

    def release(self, connection: sa.Connection, claimed: Range) -> None:
        """Gives an unfinished range back, so that the next worker needn't wait for the lease to run out."""
        column = self._table.c
        connection.execute(
            self._table.update()
            .where(
                column.run_id == claimed.run_id,
                column.number == claimed.number,
                column.lease_token == claimed.token,
                column.state == _OPEN,
            )
            .values(lease_until_ms=0, worker=None)
        )

    def free(self, connection: sa.Connection, run_id: str) -> None:
        """Ends every lease of a run that nobody is known to work on: its lock is the caller's."""
        column = self._table.c
        change = self._table.update().where(column.run_id == run_id, column.state == _OPEN)
        connection.execute(change.values(lease_until_ms=0, worker=None))

    def totals(self, connection: sa.Connection, run_id: str) -> tuple[int, int, int, dict[str, int]]:
        """Rows done, batches, open ranges, and the sum of all counts of a run."""
        rows = batches = still_open = 0
        counts: dict[str, int] = {}
        column = self._table.c
        for row in connection.execute(sa.select(self._table).where(column.run_id == run_id)):
            rows, batches = rows + row.rows_done, batches + row.batches
            still_open += row.state == _OPEN
            counts = added(counts, json.loads(row.position)["counts"])
        return rows, batches, still_open, counts


def _taken_over(claimed: Range) -> RangeTakenOverError:
    return RangeTakenOverError(f"Range {claimed.number} of run {claimed.run_id} was taken over by another worker.")


def _range(row: sa.Row[Any], token: int) -> Range:
    stored = json.loads(row.position)
    return Range(
        row.run_id,
        row.number,
        json.loads(row.bounds),
        stored["at"],
        stored["counts"],
        row.rows_done,
        row.batches,
        token,
    )


def _died_here(worker: str | None) -> bool:
    """Whether the worker was a process of this host that is gone: its lease needn't run out."""
    host, _, rest = (worker or "").rpartition(":")[0].rpartition(":")
    if host != socket.gethostname()[-_HOST_CHARACTERS:] or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def added(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """The sums of two sets of counts, by name."""
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}
