"""Proves a run: that no message was lost, changed or left behind, and that the chats fit their messages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chatctl.domain.result import Outcome, Result
from chatctl.errors import NotFoundError
from chatctl.services.regroup.running import find, scheme_of
from chatctl.services.regroup.target import RegroupTarget
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.regroup import Scheme, WorkTables, checks


def verify(target: RegroupTarget, run_id: str | None) -> Result:
    """Checks the run `run_id`, or the last one, by reading alone; findings where one doesn't hold.

    Raises NotFoundError where the run's records are gone: it was sealed or undone.
    """
    target.require_database()
    run = find(target, run_id)
    scheme = scheme_of(target, run)
    work = target.work_tables(run, scheme)
    with target.database.connect() as connection:
        if not work.exist(connection):
            raise NotFoundError(f"Run {run.id} is {_end_of(run)}: its records are gone, and it can't be verified.")
        found = [*_messages(connection, scheme, work, run), *_chats(checks.ChatChecks(connection, scheme, work), run)]
        wrong = any(not check["ok"] for check in found)
        examples = checks.ChatChecks(connection, scheme, work).examples() if wrong else []
    data = {"ok": not wrong, "checks": found, "examples": examples}
    return Result(data, Outcome.FINDINGS if wrong else Outcome.DONE, run.id)


def _messages(connection: sa.Connection, scheme: Scheme, work: WorkTables, run: Run) -> list[dict[str, Any]]:
    """What became of the messages that were there. Those that came later are no difference, however old they say."""
    moved = checks.moved_now(connection, scheme, work)
    was = run.totals.get("others", 0), run.totals.get("others_checksum", 0)
    now = checks.others_now(connection, scheme, work)
    known = moved.known + was[0]
    lost = moved.missing + max(0, was[0] - now[0])
    others_changed = now[0] == was[0] and now[1] != was[1]
    return [
        _check("messages_there", known, known - lost),
        _check("messages_unchanged", 0, moved.changed + others_changed),
        _check("left_behind", 0, _left_behind(connection, scheme, run)),
    ]


def _left_behind(connection: sa.Connection, scheme: Scheme, run: Run) -> int:
    without = checks.left_behind(connection, scheme)
    if run.status is not RunStatus.DONE:
        return without
    # What a finished run has not moved of what it saw; other messages without a chat have come since.
    missed: int = max(0, run.totals.get("looked", 0) - run.totals.get("messages_moved", 0))
    return min(without, missed)


def _chats(own: checks.ChatChecks, run: Run) -> list[dict[str, Any]]:
    return [
        _check("chats_recorded", run.totals.get("chats_created", 0), own.made()),
        _check("chats_missing", 0, own.missing()),
        _check("chats_empty", 0, own.empty()),
        _check("messages_in_foreign_chats", 0, own.foreign_messages()),
        _check("times_wrong", 0, own.wrong_times()),
    ]


def _check(name: str, expected: Any, actual: Any) -> dict[str, Any]:
    return {"name": name, "ok": expected == actual, "expected": expected, "actual": actual}


def _end_of(run: Run) -> str:
    return "undone" if run.totals.get("undone") else "sealed"
