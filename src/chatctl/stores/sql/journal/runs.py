"""Runs: what was asked for, by whom, and how it came out."""

from __future__ import annotations

import getpass
import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa

from chatctl import __version__
from chatctl.domain.instants import to_epoch_ms
from chatctl.errors import InterruptedRunError, NotFoundError
from chatctl.stores.sql.journal.tables import JournalTables
from chatctl.stores.sql.restore_marker import require_no_restore


class RunStatus(Enum):
    """How far a run is."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    PARTIAL = "partial"
    DONE = "done"

    @property
    def unfinished(self) -> bool:
        """Whether repeating the command goes on with this run instead of starting another."""
        return self in (RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.INTERRUPTED)


@dataclass(frozen=True)
class Run:
    """One row of `chatctl_runs`. `scope` is what the run works on (an entity, a file, a schema)."""

    id: str
    kind: str
    layout: str
    scope: str
    status: RunStatus
    options: dict[str, Any]
    totals: dict[str, Any]
    plan_fingerprint: str | None
    error: str | None
    started_by: str
    host: str
    chatctl_version: str
    started_ms: int
    finished_ms: int | None


def now_ms() -> int:
    """This host's clock in epoch milliseconds."""
    return to_epoch_ms(datetime.now(UTC))


def new_run_id(started_ms: int) -> str:
    """An ID that sorts by time and is short enough to type: `20261120-143455-9f3a`."""
    moment = datetime.fromtimestamp(started_ms / 1000, UTC)
    return f"{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def whoami() -> str:
    """The account that runs chatctl, for the journal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class Runs:
    """Reads and writes `chatctl_runs`, on a connection of the caller's."""

    def __init__(self, tables: JournalTables) -> None:
        self._table = tables.runs

    def start(
        self,
        connection: sa.Connection,
        kind: str,
        layout: str,
        scope: str,
        options: Mapping[str, Any],
        plan_fingerprint: str | None = None,
    ) -> Run:
        """Records a new run as running, later than any other. Raises UnfinishedRunError where a backup is half
        restored."""
        require_no_restore(connection)
        newest = connection.scalar(sa.select(sa.func.max(self._table.c.started_ms)))
        # A clock that was set back would change the order that a rollback goes back in.
        started = max(now_ms(), (newest or 0) + 1)
        values = {
            "id": new_run_id(started),
            "kind": kind,
            "layout": layout,
            "scope": scope,
            "status": RunStatus.RUNNING.value,
            "options": json.dumps(options, sort_keys=True),
            "totals": "{}",
            "plan_fingerprint": plan_fingerprint,
            "error": None,
            "started_by": whoami(),
            "host": socket.gethostname(),
            "chatctl_version": __version__,
            "started_ms": started,
            "finished_ms": None,
        }
        connection.execute(self._table.insert().values(values))
        return self.get(connection, str(values["id"]))

    def carry_over(self, connection: sa.Connection, run: Run) -> None:
        """Writes `run` as it is into a journal that took the place of its own."""
        connection.execute(self._table.delete().where(self._table.c.id == run.id))
        texts = {name: json.dumps(getattr(run, name), sort_keys=True) for name in ("options", "totals")}
        connection.execute(self._table.insert().values({**run.__dict__, **texts, "status": run.status.value}))

    def resume(self, connection: sa.Connection, run: Run) -> Run:
        """Marks an unfinished run as running again. Raises UnfinishedRunError where a backup is half restored."""
        require_no_restore(connection)
        self._update(connection, run.id, status=RunStatus.RUNNING.value, error=None, finished_ms=None)
        return self.get(connection, run.id)

    def finish(
        self,
        connection: sa.Connection,
        run_id: str,
        status: RunStatus,
        totals: Mapping[str, Any],
        error: str | None = None,
    ) -> None:
        """Records how the run came out."""
        self._update(
            connection,
            run_id,
            status=status.value,
            totals=json.dumps(totals, sort_keys=True),
            error=error,
            finished_ms=now_ms(),
        )

    def note(self, connection: sa.Connection, run_id: str, totals: Mapping[str, Any]) -> None:
        """Replaces what the run has to say of itself so far."""
        self._update(connection, run_id, totals=json.dumps(totals, sort_keys=True))

    def get(self, connection: sa.Connection, run_id: str) -> Run:
        """The run called `run_id`; raises NotFoundError."""
        row = connection.execute(sa.select(self._table).where(self._table.c.id == run_id)).one_or_none()
        if row is None:
            raise NotFoundError(f"No run is called '{run_id}'.", hint="chatctl runs list shows them.")
        return _run(row)

    def require_unfinished(self, connection: sa.Connection, run_id: str) -> None:
        """Raises InterruptedRunError where somebody has ended the run.

        Until the caller's transaction ends, whoever would end it waits.
        """
        query = sa.select(self._table.c.status).where(self._table.c.id == run_id).with_for_update(read=True)
        status = RunStatus(connection.scalars(query).one())
        if not status.unfinished:
            raise InterruptedRunError(
                f"Run {run_id} is {status.value}: nothing more is done in it.",
                hint=f"chatctl runs show {run_id} says how it came out.",
            )

    def unfinished(self, connection: sa.Connection, kind: str, layout: str, scope: str) -> Run | None:
        """The newest unfinished run of that kind on that scope, if there is one."""
        statuses = [status.value for status in RunStatus if status.unfinished]
        found = self._table.c
        query = (
            sa.select(self._table)
            .where(found.kind == kind, found.layout == layout, found.scope == scope, found.status.in_(statuses))
            .order_by(found.started_ms.desc())
        )
        row = connection.execute(query).first()
        return _run(row) if row else None

    def list(self, connection: sa.Connection, kinds: tuple[str, ...] = (), limit: int = 50) -> list[Run]:
        """The newest runs first, of those kinds (all if none is named)."""
        query = sa.select(self._table).order_by(self._table.c.started_ms.desc(), self._table.c.id.desc()).limit(limit)
        if kinds:
            query = query.where(self._table.c.kind.in_(kinds))
        return [_run(row) for row in connection.execute(query)]

    def _update(self, connection: sa.Connection, run_id: str, **values: Any) -> None:
        connection.execute(self._table.update().where(self._table.c.id == run_id).values(values))


def _run(row: sa.Row[Any]) -> Run:
    values = dict(row._mapping)
    return Run(
        **{
            **values,
            "status": RunStatus(values["status"]),
            "options": json.loads(values["options"]),
            "totals": json.loads(values["totals"]),
        }
    )
