"""`migrate rehearse`: runs revisions up, down and up again in a scratch copy of the schema, and compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatctl.domain.result import Outcome, Result
from chatctl.errors import UsageError
from chatctl.layouts.model import Phase
from chatctl.services.migrate.dumped import schema_of
from chatctl.services.migrate.planning import Options, chosen_revisions
from chatctl.services.migrate.recognition import Recognition
from chatctl.services.migrate.recording import run_in
from chatctl.services.migrate.target import MigrationTarget, Whereabouts
from chatctl.stores.sql.dialects.scratch import Scratch
from chatctl.stores.sql.inspection import Snapshot, differences
from chatctl.stores.sql.revisions import Direction, Revision


@dataclass(frozen=True)
class Dump:
    """A schema dump to rehearse on, and the revision `at` which it was made, where its tables don't tell."""

    file: Path
    at: str | None = None


def rehearse(target: MigrationTarget, options: Options, dump: Dump | None = None) -> Result:
    """Rehearses the revisions that `options` ask for; findings where the way back, or the second way, is another one.

    They start from the database's schema, or from the one in `dump`. The database is only read, and its rows take no
    part: what a revision does with them is not rehearsed.
    """
    if dump is None:
        target.require_database()
    with target.database.translating(), target.database.connect() as connection:
        revisions, checks = (
            _from_dump(target, connection, options, dump) if dump else _live(target, connection, options)
        )
    data = {
        "layout": target.name,
        "revisions": [revision.id for revision in revisions],
        "checks": [check.as_json() for check in checks],
        "ok": all(check.ok for check in checks),
    }
    return Result(data, Outcome.DONE if data["ok"] else Outcome.FINDINGS)


def _live(
    target: MigrationTarget, connection: sa.Connection, options: Options
) -> tuple[Sequence[Revision], list[_Check]]:
    revisions = chosen_revisions(target, target.whereabouts(connection), options)
    if not revisions:
        return revisions, []
    with target.database.dialect.scratch_copy(connection) as scratch:
        return revisions, _rehearse(target, scratch, revisions)


def _from_dump(
    target: MigrationTarget, connection: sa.Connection, options: Options, dump: Dump
) -> tuple[Sequence[Revision], list[_Check]]:
    dialect = target.database.dialect
    with dialect.scratch_copy(connection, schema_of(dump.file, dialect.name)) as scratch:
        revisions = chosen_revisions(target, _whereabouts(target, scratch, dump), options)
        return revisions, _rehearse(target, scratch, revisions) if revisions else []


def _whereabouts(target: MigrationTarget, scratch: Scratch, dump: Dump) -> Whereabouts:
    if dump.at is not None:
        heads = () if dump.at == "base" else (target.revisions.get(dump.at).id,)
        return Whereabouts(dict(_snapshot(target, scratch)), Recognition("mixed", Phase.EXPAND), heads, adopted=True)
    if target.connects_itself:
        raise UsageError(
            f"{dump.file} doesn't tell which of the project's revisions it has.",
            hint="Name the newest one: --at REVISION.",
        )
    found = target.whereabouts(scratch.connection)
    scratch.connection.rollback()
    return found


@dataclass
class _Check:
    name: str
    differs: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.differs

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "differs": self.differs}


def _rehearse(target: MigrationTarget, scratch: Scratch, revisions: Sequence[Revision]) -> list[_Check]:
    way: list[tuple[str, Direction, Sequence[Revision]]] = [
        ("up", "up", revisions),
        ("down", "down", list(reversed(revisions))),
        ("up again", "up", revisions),
    ]
    checks: list[_Check] = []
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
