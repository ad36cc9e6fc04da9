"""Runs a regrouping: passes over the messages until none is left to move, journaled batch by batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatctl.domain.grouping import Grouping
from chatctl.domain.restore_points import KEY, RestorePoint
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import ChatctlError, LockedError, NotFoundError, UnfinishedRunError
from chatctl.services.regroup import setaside as reading
from chatctl.services.regroup.driving import Crew, Driver, stopwatch
from chatctl.services.regroup.mapping import load_mapping
from chatctl.services.regroup.planning import check_fresh, make_plan
from chatctl.services.regroup.target import KIND, UNDO_KIND, RegroupTarget
from chatctl.stores.sql.batches.patience import patiently
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.locks import RunLock
from chatctl.stores.sql.regroup import Scheme, WorkTables
from chatctl.stores.sql.regroup.assign import Assign, AssignAlongSpine
from chatctl.stores.sql.regroup.making import MakeChats, MakeCompanions
from chatctl.stores.sql.regroup.phase import Phase
from chatctl.stores.sql.regroup.scheme import Baseline
from chatctl.stores.sql.regroup.settle import Settle
from chatctl.stores.sql.regroup.survey import Spine, Survey
from chatctl.stores.sql.regroup.titles import FirstMessageTitles
from chatctl.stores.sql.regroup.walk import Walk

#: The lock under which one regrouping of a database runs.
LOCK = "regroup"
#: Passes after which a run ends although the application still writes messages of the old kind.
MOST_PASSES = 20
#: How long a run that follows the application waits between two looks.
FOLLOW_SECONDS = 5.0
#: Messages younger than this when a run begins may still be on their way: the checksum leaves them out.
_SETTLED_SECONDS = 10


@dataclass(frozen=True)
class _Work:
    """A run with what its statements are made of."""

    run: Run
    scheme: Scheme
    tables: WorkTables


def start(
    target: RegroupTarget,
    grouping: Grouping,
    crew: Crew,
    saved_plan: Mapping[str, Any] | None = None,
    take_backup: Callable[[], str] | None = None,
    mapping: Path | None = None,
) -> Result:
    """Regroups, or goes on with the unfinished run that has these options.

    `take_backup` takes a backup before a new run begins, and tells its ID; `mapping` is the file that says whose
    messages are which.

    Raises UnfinishedRunError where another one or an undo is unfinished, StalePlanError where the saved plan no longer
    fits, LockedError where a run is at work.
    """
    target.require_database()
    with target.database.connect() as connection:
        # Whatever keeps the run from its work is said before chatctl's own tables are made.
        target.require(connection, target.scheme(grouping))
    target.journal.ensure()
    with RunLock(target.journal, LOCK) as lock:
        with target.database.connect() as connection:
            _check_undone(target, connection)
            unfinished = target.journal.runs.unfinished(connection, KIND, target.layout.name, LOCK)
        if unfinished is not None:
            _check_options(unfinished, grouping)
            work = _take_up(target, unfinished)
        else:
            work = _begin(target, grouping, saved_plan, take_backup)
        load_mapping(target, work.run, work.scheme, mapping)
        resumed = unfinished is not None
        return _go_on(target, work, replace(crew, guard=lock.check), resumed=resumed, look_again=resumed)


def join(target: RegroupTarget, run_id: str, crew: Crew) -> Result:
    """Works on the run `run_id`, beside whoever already does."""
    target.require_database()
    run = find(target, run_id)
    if not run.status.unfinished:
        raise NotFoundError(f"Run {run_id} is {run.status.value}: nothing is left to do in it.")
    work = _take_up(target, run)
    load_mapping(target, run, work.scheme, None)

    def guard(connection: sa.Connection) -> None:
        # The lock is another's, and may pass to an undo.
        target.journal.runs.require_unfinished(connection, run.id)

    # One that others are at work on is looked through by them.
    idle = run.status is not RunStatus.RUNNING or not _is_led(target)
    return _go_on(target, work, replace(crew, guard=guard), resumed=True, look_again=idle)


def _is_led(target: RegroupTarget) -> bool:
    """Whether somebody holds the lock: a killed run is noted as running, too."""
    try:
        with RunLock(target.journal, LOCK):
            return False
    except LockedError:
        return True


def retry(target: RegroupTarget, run_id: str, crew: Crew) -> Result:
    """Tries the messages again that the run `run_id` has set aside.

    Raises NotFoundError where it has set none aside, LockedError where a run is at work.
    """
    target.require_database()
    run = find(target, run_id)
    if run.status is not RunStatus.PARTIAL:
        raise NotFoundError(f"Run {run_id} is {run.status.value}: it has no messages that were set aside.")
    with RunLock(target.journal, LOCK) as lock:
        with target.database.begin() as connection:
            passes = run.totals.get("passes", 0)
            target.journal.runs.note(connection, run.id, {**run.totals, "again_from": passes + 1})
            run = target.journal.runs.resume(connection, run)
            connection.execute(target.work_tables(run, scheme_of(target, run)).aside.delete())
        return _go_on(target, _take_up(target, run), replace(crew, guard=lock.check), resumed=True)


def find(target: RegroupTarget, run_id: str | None) -> Run:
    """The regrouping called `run_id`, or the last one. Raises NotFoundError."""
    with target.database.connect() as connection:
        if not target.journal.exists(connection):
            raise NotFoundError("Nothing has been regrouped here.", hint="chatctl regroup plan shows what would be.")
        if run_id is None:
            found = target.journal.runs.list(connection, (KIND,), limit=1)
            if not found:
                raise NotFoundError("Nothing has been regrouped here.")
            return found[0]
        run = target.journal.runs.get(connection, run_id)
    if run.kind != KIND:
        raise NotFoundError(f"Run {run_id} is a '{run.kind}', not a '{KIND}'.")
    return run


def scheme_of(target: RegroupTarget, run: Run) -> Scheme:
    """What the layout's columns mean to that run."""
    return target.scheme(Grouping.from_json(run.options), run)


def _check_undone(target: RegroupTarget, connection: sa.Connection) -> None:
    # It would put the messages back that the undo has freed, into chats that the undo is about to delete.
    for run in target.journal.runs.list(connection, (UNDO_KIND,)):
        if run.status.unfinished and run.layout == target.layout.name:
            raise UnfinishedRunError(
                f"Run {run.id}, which takes run {run.scope} back, is unfinished.",
                hint=f"Finish it with 'chatctl regroup undo {run.scope}', or give it up with"
                f" 'chatctl runs cancel {run.id}'.",
            )


def _check_options(unfinished: Run, grouping: Grouping) -> None:
    if unfinished.options != grouping.as_json():
        raise UnfinishedRunError(
            f"Run {unfinished.id} is unfinished, and has other options.",
            hint=f"Finish it with 'chatctl regroup run --resume {unfinished.id}', or end it with"
            f" 'chatctl runs cancel {unfinished.id}' and 'chatctl regroup undo {unfinished.id}'.",
        )


def _begin(
    target: RegroupTarget,
    grouping: Grouping,
    saved_plan: Mapping[str, Any] | None,
    take_backup: Callable[[], str] | None,
) -> _Work:
    scheme = target.scheme(grouping)
    runs = target.journal.runs
    with target.database.connect() as connection:
        if saved_plan is not None:
            check_fresh(make_plan(target, connection, grouping).data, saved_plan)
        now = target.database.dialect.now(connection)
        before = Baseline(target.compared(connection, scheme), now - timedelta(seconds=_SETTLED_SECONDS))
        sizes = target.database.dialect.plain_sizes(connection, target.layout.tables)
    point = RestorePoint(now, take_backup() if take_backup else None, sizes=sizes)
    fingerprint = saved_plan["fingerprint"] if saved_plan else None
    with target.database.begin() as connection:
        run = runs.start(connection, KIND, target.layout.name, LOCK, grouping.as_json(), fingerprint)
        runs.note(connection, run.id, {"before": before.as_json(), KEY: point.as_json()})
        run = runs.get(connection, run.id)
    return _take_up(target, run)


def _take_up(target: RegroupTarget, run: Run) -> _Work:
    scheme = scheme_of(target, run)
    tables = target.work_tables(run, scheme)
    tables.create(target.database)
    # A worker that was cut off keeps the run's row until the server ends its session.
    return _Work(patiently(lambda: _resumed(target, run)), scheme, tables)


def _resumed(target: RegroupTarget, run: Run) -> Run:
    with target.database.begin() as connection:
        return target.journal.runs.resume(connection, run)


def _go_on(target: RegroupTarget, work: _Work, crew: Crew, *, resumed: bool, look_again: bool = False) -> Result:
    driver = Driver(target, work.run, crew)
    with ExitStack() as stack:
        taken = stack.enter_context(stopwatch())
        try:
            ending = _passes(driver, work, follow=crew.follow, look_again=look_again)
        except ChatctlError as problem:
            _record(target, work.run, RunStatus.INTERRUPTED, driver, str(problem))
            raise
    passes = ending.passes if ending is not None else None
    if ending is not None:
        work.tables.drop_spine(target.database)
    aside = reading.aside(target.database, work.tables) if passes is not None else []
    status = RunStatus.INTERRUPTED if passes is None else RunStatus.PARTIAL if aside else RunStatus.DONE
    totals = _record(target, work.run, status, driver, None, passes)
    data = {
        **_figures(totals, driver.batches, taken["seconds"]),
        "passes": passes,
        "set_aside": len(aside),
        "resumed": resumed,
        "options": work.run.options,
    }
    warnings = []
    if ending is not None and ending.given_up:
        warnings.append(
            Notice(
                "still_arriving",
                f"After {passes} passes the application still writes messages without a chat.",
                "Run it again once the old version has stopped, or keep it going with --follow.",
            )
        )
    outcomes = {RunStatus.DONE: Outcome.DONE, RunStatus.PARTIAL: Outcome.PARTIAL}
    outcome = outcomes.get(status, Outcome.INTERRUPTED)
    return Result(data, outcome, work.run.id, tuple(warnings), reading.complaint(work.run.id, aside))


@dataclass(frozen=True)
class _Ending:
    """How many passes a run took until nothing was left to move, or until it had tried often enough."""

    passes: int
    given_up: bool = False


def _passes(driver: Driver, work: _Work, *, follow: bool, look_again: bool) -> _Ending | None:
    """Goes through the messages until none is left to move; None where a stop came first.

    With `follow` there is no last one: what arrives is taken until a stop comes. With `look_again` a look that had
    found nothing before the run was held up is no proof any more.
    """
    again_from = work.run.totals.get("again_from", 1)
    passes_left = MOST_PASSES
    for number in itertools.count(1):
        look, *rest = _phases(work, number)
        if number > again_from and not follow and driver.all_are_linked(work.scheme):
            return _Ending(number)
        # A run that followed the application has made any number of them before.
        passes_left -= not driver.is_done(look)
        looked = driver.phase(look)
        if looked is not None and looked.rows == 0 and look_again:
            look_again = False
            driver.forget_fruitless(look)
            looked = driver.phase(look)
        while looked is not None and looked.rows == 0 and follow:
            looked = driver.phase(look) if driver.pause(FOLLOW_SECONDS, look) else None
        if looked is None:
            return None
        if looked.rows == 0 and number >= again_from:
            return _Ending(number)
        for phase in rest if looked.rows else ():
            if driver.phase(phase, looked.rows if phase.unit == look.unit else None) is None:
                return None
        if passes_left <= 0 and not follow:
            return _Ending(number, given_up=True)
    return None


def _phases(work: _Work, number: int) -> list[Phase]:
    kinds: tuple[type[Phase], ...] = (Survey, MakeCompanions, MakeChats, Assign, Settle)
    if work.scheme.grouping.gap_seconds is not None:
        kinds = (Spine, Walk, MakeCompanions, MakeChats, AssignAlongSpine, Settle)
    if work.scheme.grouping.title == "first-message":
        kinds = (*kinds, FirstMessageTitles)
    return [kind(work.scheme, work.tables, number) for kind in kinds]


def _record(
    target: RegroupTarget, run: Run, status: RunStatus, driver: Driver, error: str | None, passes: int | None = None
) -> dict[str, Any]:
    with target.database.begin() as connection:
        now = target.journal.runs.get(connection, run.id)
        # Counts only grow; another worker may have seen more of them.
        totals = now.totals | {name: max(count, now.totals.get(name, 0)) for name, count in driver.counts.items()}
        if passes is not None:
            totals["passes"] = passes
        # Who paused, cancelled or finished it from elsewhere has the last word.
        at_work = now.status in (RunStatus.RUNNING, RunStatus.INTERRUPTED)
        kept = now.status if status is RunStatus.INTERRUPTED and not at_work else status
        target.journal.runs.finish(connection, run.id, kept, totals, error)
    return totals


def _figures(totals: Mapping[str, Any], batches: int, seconds: float) -> dict[str, Any]:
    moved = totals.get("messages_moved", 0)
    return {
        "messages_moved": moved,
        "chats_created": totals.get("chats_created", 0),
        "chats_joined": totals.get("chats_joined", 0),
        "companions": {name[5:]: count for name, count in totals.items() if name.startswith("made_")},
        "batches": batches,
        "seconds": seconds,
        "rows_per_second": round(moved / seconds, 1) if seconds else None,
    }
