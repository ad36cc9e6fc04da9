"""Takes a run back, or makes it final."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chatctl.domain.result import Outcome, Result
from chatctl.errors import ChatctlError, IntegrityError, NotFoundError, UnfinishedRunError
from chatctl.services.regroup.driving import Crew, Driver, stopwatch
from chatctl.services.regroup.running import LOCK, find, scheme_of
from chatctl.services.regroup.target import UNDO_KIND, RegroupTarget
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.locks import RunLock
from chatctl.stores.sql.regroup import Scheme, WorkTables
from chatctl.stores.sql.regroup.phase import Phase
from chatctl.stores.sql.regroup.undoing import (
    FreeMessages,
    GiveBackMessages,
    LookAtChats,
    TakeBackChats,
    TakeBackCompanions,
    still_linked,
)

_PHASES: tuple[type[Phase], ...] = (LookAtChats, FreeMessages, TakeBackChats, GiveBackMessages, TakeBackCompanions)


def undo_plan(target: RegroupTarget, run_id: str | None) -> Result:
    """What undoing the run would take back, by its own records."""
    run = _undoable(target, run_id)
    totals = run.totals
    data = {
        "undoes": run.id,
        "messages_freed": totals.get("messages_moved", 0),
        "chats_deleted": totals.get("chats_created", 0),
        "chats_kept": 0,
        "companions_deleted": sum(count for name, count in totals.items() if name.startswith("made_")),
        "seconds": 0.0,
        "resumed": False,
        "dry_run": True,
    }
    return Result(data, run_id=run.id)


def undo(target: RegroupTarget, run_id: str | None, crew: Crew) -> Result:
    """Takes the run `run_id`, or the last one, back; goes on where an earlier try stopped.

    Raises NotFoundError where it was sealed or undone, IntegrityError where messages are left in its chats.
    """
    target.require_database()
    run = _undoable(target, run_id)
    scheme = scheme_of(target, run)
    work = target.work_tables(run, scheme)
    with RunLock(target.journal, LOCK, run.id) as lock:
        undoing, resumed = _begin(target, run)
        driver = Driver(target, undoing, replace(crew, guard=lock.check))
        with stopwatch() as taken:
            done = _take_back(target, driver, undoing, scheme, work)
        if done:
            _check(target, scheme, work, undoing)
            _finish(target, run, undoing, driver, work)
        else:
            _note(target, undoing, RunStatus.INTERRUPTED, driver, None)
    names = ("messages_freed", "chats_deleted", "chats_kept", "companions_deleted")
    data: dict[str, Any] = {
        "undoes": run.id,
        **{name: driver.counts.get(name, 0) for name in names},
        "seconds": taken["seconds"],
        "resumed": resumed,
        "dry_run": False,
    }
    return Result(data, Outcome.DONE if done else Outcome.INTERRUPTED, undoing.id)


def seal(target: RegroupTarget, run_id: str | None, *, dry_run: bool = False) -> Result:
    """Makes the run `run_id`, or the last one, final: it can't be undone any more, and its records are freed."""
    target.require_database()
    run = find(target, run_id)
    if run.status.unfinished:
        raise UnfinishedRunError(f"Run {run.id} is unfinished.", hint="chatctl regroup run goes on with it.")
    already = bool(run.totals.get("sealed") or run.totals.get("undone"))
    if not dry_run:
        work = target.work_tables(run, scheme_of(target, run))
        with RunLock(target.journal, LOCK, run.id):
            if not already:
                with target.database.begin() as connection:
                    target.journal.runs.note(connection, run.id, {**run.totals, "sealed": True})
            # Whoever was killed between the two has left the records.
            work.drop(target.database)
    return Result({"sealed": run.id, "already": already, "dry_run": dry_run}, run_id=run.id)


def _undoable(target: RegroupTarget, run_id: str | None) -> Run:
    run = find(target, run_id)
    if run.totals.get("undone"):
        raise NotFoundError(f"Run {run.id} was undone already.")
    if run.totals.get("sealed"):
        raise NotFoundError(f"Run {run.id} is sealed, so nothing is left to undo it with.")
    return run


def _begin(target: RegroupTarget, run: Run) -> tuple[Run, bool]:
    runs = target.journal.runs
    with target.database.begin() as connection:
        unfinished = runs.unfinished(connection, UNDO_KIND, target.layout.name, run.id)
        if unfinished is not None:
            return runs.resume(connection, unfinished), True
        if run.status.unfinished:
            runs.finish(connection, run.id, RunStatus.CANCELLED, run.totals, "Undone before its end.")
        return runs.start(connection, UNDO_KIND, target.layout.name, run.id, {"undoes": run.id}), False


def _take_back(target: RegroupTarget, driver: Driver, undoing: Run, scheme: Scheme, work: WorkTables) -> bool:
    try:
        work.create_freed(target.database)
        return all(driver.phase(phase(scheme, work, 1)) is not None for phase in _PHASES)
    except ChatctlError as problem:
        _note(target, undoing, RunStatus.INTERRUPTED, driver, str(problem))
        raise


def _check(target: RegroupTarget, scheme: Scheme, work: WorkTables, undoing: Run) -> None:
    with target.database.connect() as connection:
        left = still_linked(connection, scheme, work.chats)
    if left:
        raise IntegrityError(
            f"{left:,} messages are still in chats of the run.", hint=f"The undo is run {undoing.id}; repeat it."
        )


def _finish(target: RegroupTarget, run: Run, undoing: Run, driver: Driver, work: WorkTables) -> None:
    with target.database.begin() as connection:
        target.journal.runs.finish(connection, undoing.id, RunStatus.DONE, driver.counts)
        fresh = target.journal.runs.get(connection, run.id)
        target.journal.runs.note(connection, run.id, {**fresh.totals, "undone": undoing.id})
    work.drop(target.database)


def _note(target: RegroupTarget, undoing: Run, status: RunStatus, driver: Driver, error: str | None) -> None:
    with target.database.begin() as connection:
        target.journal.runs.finish(connection, undoing.id, status, driver.counts, error)
