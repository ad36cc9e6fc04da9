"""`rollback plan`: what would go back, and what that loses. Nothing here writes."""

from __future__ import annotations

from pathlib import Path

from chatctl.domain.result import Notice, Result
from chatctl.errors import UnfinishedRunError
from chatctl.services.planfile import save_plan
from chatctl.services.rollback.planning import make_plan
from chatctl.services.rollback.running import nothing
from chatctl.services.rollback.steps import RollbackPlan
from chatctl.services.rollback.target import KIND, LOCK, RollbackTarget
from chatctl.stores.sql.restore_marker import RestoreMarker

_NOTHING = Notice("nothing_to_roll_back", "Nothing stands since the last rollback.", "--to RUN goes further back.")


def plan(target: RollbackTarget, to: str | None, out: Path | None = None) -> Result:
    """The plan of `rollback run` with the same options; saved to `out` if that is given.

    Of an unfinished rollback it is the plan that it was begun with. Raises UnfinishedRunError while a backup that a
    rollback restores is half there.
    """
    target.migration.require_database()
    state = RestoreMarker(target.migration.database).read()
    if state is not None:
        raise UnfinishedRunError(
            f"A restore of backup {state['backup']} is unfinished.",
            hint="chatctl rollback run goes on with it." if state["note"] else "Repeat its command first.",
        )
    made = _unfinished(target) or make_plan(target, to)
    if made is None:
        return Result(nothing(), warnings=(_NOTHING,))
    if out is not None:
        save_plan(out, "rollback run", made.as_json())
    return Result(made.as_json())


def _unfinished(target: RollbackTarget) -> RollbackPlan | None:
    with target.journal.database.connect() as connection:
        if not target.journal.exists(connection):
            return None
        run = target.journal.runs.unfinished(connection, KIND, target.layout_name, LOCK)
    return RollbackPlan.from_json(run.totals["plan"]) if run is not None and "plan" in run.totals else None
