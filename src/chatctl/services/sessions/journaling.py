"""A move of sessions as a run of the journal: one at a time, found again after a kill, shown by `chatctl runs`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chatctl.domain.plans import fingerprint
from chatctl.domain.result import Outcome, Result
from chatctl.errors import ChatctlError, UnfinishedRunError
from chatctl.stores.sql.journal import Journal, Run, RunStatus
from chatctl.stores.sql.locks import RunLock

#: The lock under which sessions move between Redis and SQL.
LOCK = "sessions archive"

_STATUS = {Outcome.DONE: RunStatus.DONE, Outcome.INTERRUPTED: RunStatus.INTERRUPTED}


@dataclass(frozen=True)
class Move:
    """What is asked for: `kind` is its command, `options` tell one request from another."""

    layout: str
    kind: str
    options: Mapping[str, Any]


def as_run(journal: Journal, move: Move, action: Callable[[], Result]) -> Result:
    """What `action` returns, with the run's ID; an unfinished run of the same request goes on.

    Raises LockedError while another move is at work, UnfinishedRunError where one with other options is unfinished.
    """
    journal.ensure()
    with RunLock(journal, LOCK):
        run = _begin(journal, move)
        try:
            result = action()
        except BaseException as problem:
            with contextlib.suppress(ChatctlError):
                _finish(journal, run, RunStatus.INTERRUPTED, {}, type(problem).__name__)
            raise
        # The sessions' IDs stay out of the journal: an erasure would have to look for them.
        counts = {name: value for name, value in result.data.items() if not isinstance(value, list)}
        _finish(journal, run, _STATUS.get(result.outcome, RunStatus.PARTIAL), counts, None)
    return replace(result, run_id=run.id)


def _begin(journal: Journal, move: Move) -> Run:
    options = {"request": fingerprint(dict(move.options))}
    with journal.database.begin() as connection:
        found = journal.runs.unfinished(connection, move.kind, move.layout, LOCK)
        if found is None:
            return journal.runs.start(connection, move.kind, move.layout, LOCK, options)
        if found.options != options:
            raise UnfinishedRunError(
                f"Run {found.id} is unfinished, and it was given other options.",
                hint=f"Repeat its command to finish it, or give it up: chatctl runs cancel {found.id}",
            )
        return journal.runs.resume(connection, found)


def _finish(journal: Journal, run: Run, status: RunStatus, totals: Mapping[str, Any], error: str | None) -> None:
    with journal.database.begin() as connection:
        journal.runs.finish(connection, run.id, status, totals, error)
