"""`purge status`: the last runs, what is waiting, and whether it grows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import iso, to_epoch_ms
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.domain.retention import backlog_grows
from chatctl.services.purge.planning import count_eligible, policies_json
from chatctl.services.purge.running import KIND
from chatctl.services.purge.target import PurgeRequest, PurgeTarget
from chatctl.stores.sql.journal import Run, RunStatus

#: Among so many runs are the last three of the whole policy.
_LOOKED_AT = 50


def status(target: PurgeTarget, limit: int = 10) -> Result:
    """The last `limit` runs, newest first. A backlog that grew over three runs is a finding."""
    target.require_database()
    request = PurgeRequest()
    with target.database.connect() as connection:
        now = target.now(connection)
        backlog = count_eligible(target, connection, request.selection(target, now, now))
        runs = _runs(target, connection, max(limit, _LOOKED_AT))
    trend = [run.totals["backlog"] for run in reversed(runs) if "backlog" in run.totals and _of_everything(run)]
    grows = backlog_grows(trend)
    data = {
        "layout": target.layout.name,
        "now": iso(to_epoch_ms(now)),
        "policies": policies_json(target, request, now),
        "backlog": backlog,
        "backlog_trend": trend,
        "backlog_grows": grows,
        "runs": [_shown(run) for run in runs[:limit]],
    }
    if not grows:
        return Result(data)
    message = f"The backlog grew over the last three runs: {', '.join(f'{count:,}' for count in trend[-3:])}."
    hint = "Give the purge more time (--max-runtime, --window), or run it more often."
    return Result(data, Outcome.FINDINGS, warnings=(Notice("backlog_grows", message, hint),))


def _of_everything(run: Run) -> bool:
    """Whether the run was about the whole policy: what one account's run leaves is another figure."""
    return all(run.options.get(name) is None for name in ("account", "user", "older_than_seconds"))


def _runs(target: PurgeTarget, connection: sa.Connection, limit: int) -> list[Run]:
    if not target.journal.exists(connection):
        return []
    return target.journal.runs.list(connection, (KIND,), limit)


def _shown(run: Run) -> dict[str, Any]:
    finished = run.finished_ms if run.status is not RunStatus.RUNNING else None
    return {
        "run_id": run.id,
        "status": run.status.value,
        "started": iso(run.started_ms),
        "finished": iso(finished),
        "deleted_chats": run.totals.get("deleted_chats", 0),
        "deleted_messages": run.totals.get("deleted_messages", 0),
        "archived": run.totals.get("archived", 0),
        "held": run.totals.get("held", 0),
        "backlog": run.totals.get("backlog"),
        "seconds": run.totals.get("seconds"),
        "error": run.error,
    }
