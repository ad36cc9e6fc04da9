"""`migrate rehearse`: runs revisions up, down and up again in a scratch copy of the schema, and compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chatctl.domain.result import Outcome, Result
from chatctl.services.migrate.planning import Options, chosen_revisions
from chatctl.services.migrate.recording import run_in
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.sql.dialects.scratch import Scratch
from chatctl.stores.sql.inspection import Snapshot, differences
from chatctl.stores.sql.revisions import Direction, Revision


def rehearse(target: MigrationTarget, options: Options) -> Result:
    """Rehearses the revisions that `options` ask for; findings where the way back, or the second way, is another one.

    The database is only read, and its rows take no part: what a revision does with them is not rehearsed.
    """
    target.require_database()
    with target.database.translating(), target.database.connect() as connection:
        revisions = chosen_revisions(target, target.whereabouts(connection), options)
        checks = _rehearse(target, connection, revisions) if revisions else []
    data = {
        "layout": target.name,
        "revisions": [revision.id for revision in revisions],
        "checks": [check.as_json() for check in checks],
        "ok": all(check.ok for check in checks),
    }
    return Result(data, Outcome.DONE if data["ok"] else Outcome.FINDINGS)


@dataclass
class _Check:
    name: str
    differs: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.differs

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "differs": self.differs}


def _rehearse(target: MigrationTarget, connection: sa.Connection, revisions: Sequence[Revision]) -> list[_Check]:
    way: list[tuple[str, Direction, Sequence[Revision]]] = [
        ("up", "up", revisions),
        ("down", "down", list(reversed(revisions))),
        ("up again", "up", revisions),
    ]
    checks: list[_Check] = []
    with target.database.dialect.scratch_copy(connection) as scratch:
        # After each way, the schema that the one before it began with; the first way may lead anywhere.
        seen = [_snapshot(target, scratch)]
        for name, direction, ordered in way:
            check = _Check(name, _problem(target, scratch, direction, ordered))
            checks.append(check)
            seen.append(_snapshot(target, scratch))
            if len(seen) > 2 and check.ok:
                check.differs += map(str, differences(seen[-3], seen[-1]))
            if not check.ok:
                break
    return checks


def _snapshot(target: MigrationTarget, scratch: Scratch) -> Snapshot:
    scratch.connection.rollback()
    found = target.snapshot(scratch.connection)
    # A project works on connections of its own, which an open transaction here would keep waiting.
    scratch.connection.rollback()
    return found


def _problem(
    target: MigrationTarget, scratch: Scratch, direction: Direction, revisions: Sequence[Revision]
) -> list[str]:
    for revision in revisions:
        try:
            with target.database.translating():
                run_in(target, scratch, revision, direction)
        # The application's own code may raise anything.
        except Exception as problem:
            return [f"{revision.id} {direction}: {type(problem).__name__}: {problem}".splitlines()[0]]
    return []
