"""Proves a run: that no message was lost, changed or left behind, and that the chats fit their messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chatctl.domain.result import Outcome, Result
from chatctl.errors import NotFoundError
from chatctl.services.regroup.running import find, scheme_of
from chatctl.services.regroup.target import RegroupTarget
from chatctl.stores.sql.journal import Run
from chatctl.stores.sql.regroup import Scheme, checks


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
        found = [*_messages(connection, scheme, run), *_chats(checks.ChatChecks(connection, scheme, work), run)]
        wrong = any(not check["ok"] for check in found)
        examples = checks.ChatChecks(connection, scheme, work).examples() if wrong else []
    data = {"ok": not wrong, "checks": found, "examples": examples}
    return Result(data, Outcome.FINDINGS if wrong else Outcome.DONE, run.id)


def _messages(connection: sa.Connection, scheme: Scheme, run: Run) -> list[dict[str, Any]]:
    before = run.totals["before"]
    cutoff = datetime.fromisoformat(before["cutoff"])
    now = checks.checksum(connection, scheme, before["columns"], cutoff)
    return [
        _check("messages_there", before["count"], now["count"]),
        _check("messages_unchanged", before["checksum"], now["checksum"]),
        _check("left_behind", 0, checks.left_behind(connection, scheme, cutoff)),
    ]


def _chats(own: checks.ChatChecks, run: Run) -> list[dict[str, Any]]:
    chats, _ = own.totals()
    return [
        _check("chats_recorded", run.totals.get("chats_created", 0), chats),
        _check("chats_missing", 0, own.missing()),
        _check("chats_empty", 0, own.empty()),
        _check("messages_missing_in_chats", 0, own.lost_messages()),
        _check("messages_in_foreign_chats", 0, own.foreign_messages()),
        _check("times_wrong", 0, own.wrong_times()),
    ]


def _check(name: str, expected: Any, actual: Any) -> dict[str, Any]:
    return {"name": name, "ok": expected == actual, "expected": expected, "actual": actual}


def _end_of(run: Run) -> str:
    return "undone" if run.totals.get("undone") else "sealed"
