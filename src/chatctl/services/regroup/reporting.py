"""What `regroup plan` and `regroup status` answer."""

from __future__ import annotations

from pathlib import Path

from chatctl.domain.grouping import Grouping
from chatctl.domain.instants import iso
from chatctl.domain.result import Outcome, Result
from chatctl.services.planfile import save_plan
from chatctl.services.regroup.planning import make_plan
from chatctl.services.regroup.target import KIND, RegroupTarget

PLAN_COMMAND = "regroup run"


def plan(target: RegroupTarget, grouping: Grouping, out: Path | None = None, *, detailed_exit: bool = False) -> Result:
    """What a run with `grouping` would do; saved to `out` if that is given."""
    target.require_database()
    with target.database.connect() as connection:
        made = make_plan(target, connection, grouping)
    if out is not None:
        save_plan(out, PLAN_COMMAND, made.data)
    pending = detailed_exit and made.data["messages_to_move"] > 0
    return Result(made.data, Outcome.PENDING if pending else Outcome.DONE, warnings=made.warnings)


def status(target: RegroupTarget, limit: int = 20) -> Result:
    """The regroupings of this database, newest first, and whether one is unfinished or can still be undone."""
    target.require_database()
    with target.database.connect() as connection:
        runs = []
        if target.journal.exists(connection):
            runs = target.journal.runs.list(connection, (KIND,), limit)
    listed = [
        {
            "run_id": run.id,
            "status": run.status.value,
            "messages_moved": run.totals.get("messages_moved", 0),
            "chats_created": run.totals.get("chats_created", 0),
            "state": "undone" if run.totals.get("undone") else "sealed" if run.totals.get("sealed") else "open",
            "by": run.started_by,
            "started": iso(run.started_ms),
            "finished": iso(run.finished_ms),
            "error": run.error,
        }
        for run in runs
    ]
    unfinished = next((run.id for run in runs if run.status.unfinished), None)
    return Result({"layout": target.layout.name, "unfinished": unfinished, "runs": listed})
