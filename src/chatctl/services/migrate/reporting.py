"""`migrate status`, `plan`, `check`, `history` and `sql`: what is, would be and was. Nothing here writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from chatctl.domain.instants import iso
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import UsageError
from chatctl.layouts.model import Phase
from chatctl.services.migrate.judged import judged
from chatctl.services.migrate.planning import MigrationPlan, Options, read_plan
from chatctl.services.migrate.recording import Scratching
from chatctl.services.migrate.target import MigrationTarget, Whereabouts
from chatctl.services.planfile import save_plan
from chatctl.stores.sql.inspection import Difference, differences
from chatctl.stores.sql.journal import Run


def status(target: MigrationTarget) -> Result:
    """Where the database stands, and which expand revisions it lacks."""
    with target.database.reading() as connection:
        whereabouts = target.whereabouts(connection)
    return Result(
        {
            "layout": target.name,
            "database": target.database.where,
            "state": whereabouts.seen.state,
            "adopted": whereabouts.adopted,
            "current": list(whereabouts.heads),
            "heads": list(target.revisions.goals(Phase.EXPAND)),
            "pending": _pending(target, whereabouts),
            "differs": [] if whereabouts.seen.phase else list(whereabouts.seen.differs),
        },
        warnings=_no_file(target),
    )


def plan(
    target: MigrationTarget,
    options: Options,
    out: Path | None = None,
    *,
    detailed_exit: bool = False,
    scratching: Scratching = "never",
    linted: bool = False,
) -> Result:
    """The plan for `options`; saved to `out` if given. With `detailed_exit` a plan with steps is pending work.

    Where `scratching` is to measure, each statement runs in a scratch copy first, and the plan says what it locks;
    where it is `linted`, what the linter finds stands with each statement.
    """
    made = read_plan(target, options, scratching)
    if linted:
        made = judged(target, made)
    data = {**made.as_json(), "losses": counted_losses(target, made)}
    if out is not None:
        save_plan(out, f"migrate {options.direction}", made.as_json())
    pending = detailed_exit and bool(made.steps)
    return Result(data, Outcome.PENDING if pending else Outcome.DONE, warnings=made.warnings)


def counted_losses(target: MigrationTarget, made: MigrationPlan) -> list[dict[str, Any]]:
    """What the plan would drop, with the rows (of a column: those with a value) that would be lost."""
    found = []
    with target.database.reading() as connection:
        for path in made.lost:
            place, _, column = path.partition(".")
            schema, _, name = place.rpartition("/")
            table = sa.table(name, *([sa.column(column)] if column else []), schema=schema or None)
            counted = sa.func.count(table.c[column]) if column else sa.func.count()
            rows = connection.scalar(sa.select(counted).select_from(table)) or 0
            found.append({"table": place, "column": column or None, "rows": rows})
    return found


def check(target: MigrationTarget) -> Result:
    """Whether the schema has drifted (findings), or expand revisions are pending, or neither."""
    with target.database.reading() as connection:
        whereabouts = target.whereabouts(connection)
        recorded = None
        if target.journal.exists(connection):
            recorded = target.journal.recorded_schema(connection, target.name)
    drift = _drift(target, whereabouts, recorded)
    pending = _pending(target, whereabouts)
    outcome = Outcome.FINDINGS if drift else Outcome.PENDING if pending else Outcome.DONE
    return Result(
        {
            "layout": target.name,
            "current": list(whereabouts.heads),
            "pending": pending,
            "drift": drift,
            "ok": not drift and not pending,
        },
        outcome,
        warnings=_no_file(target),
    )


def _no_file(target: MigrationTarget) -> tuple[Notice, ...]:
    """What is said where the database is a file that isn't there: it was read as an empty one."""
    if target.database.exists:
        return ()
    hint = "chatctl migrate makes it." if target.layout.starts_empty else "Check the path."
    return (Notice("no_such_file", f"{target.database.where}: there is no such file, so it was read as empty.", hint),)


def _drift(
    target: MigrationTarget, whereabouts: Whereabouts, recorded: Mapping[str, str] | None
) -> list[dict[str, Any]]:
    """Where the schema departs from the recorded one; where none is, from every state that the layout declares.

    An empty database that waits for its first revision departs from nothing.
    """
    if recorded is not None:
        return [_difference(item) for item in differences(recorded, whereabouts.snapshot)]
    if whereabouts.seen.phase is not None or (target.revisions.chain and not whereabouts.snapshot):
        return []
    return [_departure(text) for text in whereabouts.seen.differs]


def history(target: MigrationTarget, limit: int = 50) -> Result:
    """The migrations of this layout in the journal, newest first: who, when, how long, how it came out."""
    kinds = ("migrate adopt", "migrate up", "migrate down")
    with target.database.reading() as connection:
        found = target.journal.runs.list(connection, kinds, limit) if target.journal.exists(connection) else []
    return Result({"runs": [_run(run) for run in found if run.layout == target.name]})


def script(
    target: MigrationTarget, start: str | None, end: str | None, direction: Literal["up", "down"] = "up"
) -> Result:
    """The SQL of the revisions after `start` up to `end`, made without looking at a database.

    Raises UsageError where `start` is behind `end`, NotFoundError where there is no such revision.
    """
    last = end or _expand_head(target)
    if target.revisions.position(start) > target.revisions.position(last):
        raise UsageError(f"{start} comes after {last}.", hint="--from is the older one, on the way back (--down) too.")
    chosen = target.revisions.between(start, last)
    ordered = chosen if direction == "up" else list(reversed(chosen))
    text = target.revisions.script(ordered, direction)
    return Result({"layout": target.name, "revisions": [item.id for item in ordered], "script": text})


def _expand_head(target: MigrationTarget) -> str:
    head = target.revisions.last_of(Phase.EXPAND)
    return head.id if head else "head"


def _pending(target: MigrationTarget, whereabouts: Whereabouts) -> list[dict[str, Any]]:
    revisions = target.revisions.up(whereabouts.heads, target.revisions.goals(Phase.EXPAND))
    return [{"revision": item.id, "title": item.title, "phase": item.phase.value} for item in revisions]


def _difference(item: Difference) -> dict[str, Any]:
    return {"where": item.path, "expected": item.expected, "actual": item.actual, "message": str(item)}


def _departure(text: str) -> dict[str, Any]:
    """What recognition found to differ, as drift: the path stands first in its sentence."""
    where, _, what = text.partition(" ")
    is_missing = what == "is missing"
    return {
        "where": where,
        "expected": "there" if is_missing else None,
        "actual": None if is_missing else "there",
        "message": text,
    }


def _run(run: Run) -> dict[str, Any]:
    seconds = (run.finished_ms - run.started_ms) / 1000 if run.finished_ms is not None else None
    return {
        "run_id": run.id,
        "command": run.kind,
        "status": run.status.value,
        "revisions": run.totals.get("revisions", []),
        "by": run.started_by,
        "host": run.host,
        "started": iso(run.started_ms),
        "seconds": seconds,
        "error": run.error,
    }
