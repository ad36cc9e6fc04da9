"""Plans a migration: which revisions would run, and every statement that applying them will send.

How the statements are found out without changing anything is in `recording`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from chatctl.domain.plans import fingerprint
from chatctl.domain.result import Notice
from chatctl.errors import NotFoundError, RevisionError, UnrecognisedDatabaseError
from chatctl.layouts.model import Phase
from chatctl.services.lint.findings import Finding
from chatctl.services.migrate.recording import RecordedStatement, Request, Scratching, record
from chatctl.services.migrate.target import SCHEMA_SCOPE, MigrationTarget, Whereabouts
from chatctl.stores.sql.dialects import TableSize
from chatctl.stores.sql.dialects.measuring import Measurement
from chatctl.stores.sql.journal import Run
from chatctl.stores.sql.revisions import Direction, Revision
from chatctl.stores.sql.statements import Statement


@dataclass(frozen=True)
class Options:
    """What was asked for: up to a revision (or to the end of a phase), or down to one."""

    direction: Direction = "up"
    target: str | None = None
    phase: Literal["expand", "contract"] = "expand"

    def as_json(self) -> dict[str, Any]:
        """For the journal and for fingerprints."""
        return {"direction": self.direction, "target": self.target, "phase": self.phase}


@dataclass(frozen=True)
class PlannedStatement:
    """One statement, how large the largest table is that it names, and what it does where that was measured.

    `line` is where the revision sends it, and `commits_by_itself` says that it runs outside of the transaction.
    `findings` is what the linter says of it, where it was asked.
    """

    statement: Statement
    rows: int | None
    bytes: int | None
    measured: Measurement | None = None
    line: int | None = None
    commits_by_itself: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def sql(self) -> str:
        """Its text."""
        return self.statement.sql

    def as_json(self) -> dict[str, Any]:
        """As the command contract shows a statement; what only measuring can tell is null without it."""
        measured = self.measured
        return {
            "sql": self.sql,
            "locks": measured.locks if measured else None,
            "rewrites_table": measured.rewrites_table if measured else None,
            "algorithm": measured.algorithm if measured else None,
            "blocks": measured.blocks if measured else None,
            "scans": measured.scans if measured else None,
            "seconds": measured.seconds(self.bytes) if measured else None,
            "rows": self.rows,
            "bytes": self.bytes,
            "findings": [finding.of_statement() for finding in self.findings],
        }


@dataclass(frozen=True)
class PlannedRevision:
    """One revision and its statements, in the order in which they will run.

    Where it depends on rows, the statements that change rows are those of the moment of planning.
    """

    revision: Revision
    statements: tuple[PlannedStatement, ...]
    depends_on_rows: bool = False

    def as_json(self) -> dict[str, Any]:
        """As the command contract shows a step."""
        return {
            "revision": self.revision.id,
            "title": self.revision.title,
            "phase": self.revision.phase.value,
            "depends_on_rows": self.depends_on_rows,
            "statements": [statement.as_json() for statement in self.statements],
        }


@dataclass(frozen=True)
class MigrationPlan:
    """What a migration would do, from where, to where."""

    options: Options
    whereabouts: Whereabouts
    steps: tuple[PlannedRevision, ...]
    layout: str
    lost: tuple[str, ...]
    fingerprint: str
    warnings: tuple[Notice, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As `migrate plan` answers and as a plan file holds it."""
        return {
            "fingerprint": self.fingerprint,
            "layout": self.layout,
            "direction": self.options.direction,
            "options": self.options.as_json(),
            "current": list(self.whereabouts.heads),
            "adopts": not self.whereabouts.adopted and bool(self.whereabouts.heads),
            "steps": [step.as_json() for step in self.steps],
        }


def read_plan(target: MigrationTarget, options: Options, scratching: Scratching = "never") -> MigrationPlan:
    """The plan for `options`, made on a connection that only reads; raises what `make_plan` raises."""
    target.require_database()
    with target.database.reading() as connection:
        unfinished = resumable(unfinished_runs(target, connection), options)
        return make_plan(target, connection, options, unfinished, scratching)


def unfinished_runs(target: MigrationTarget, connection: sa.Connection) -> list[Run]:
    """The migrations of this target that were begun and not finished: one each way at most."""
    if not target.journal.exists(connection):
        return []
    runs = target.journal.runs
    kinds = ("migrate up", "migrate down")
    found = [runs.unfinished(connection, kind, target.name, SCHEMA_SCOPE) for kind in kinds]
    return [run for run in found if run is not None]


def resumable(unfinished: Sequence[Run], options: Options) -> Run | None:
    """The unfinished run that applying `options` goes on with."""
    return next((run for run in unfinished if run.options == options.as_json()), None)


def make_plan(
    target: MigrationTarget,
    connection: sa.Connection,
    options: Options,
    unfinished: Run | None = None,
    scratching: Scratching = "never",
) -> MigrationPlan:
    """The plan for `options` on the database behind `connection`, which is only read.

    `unfinished` is the run that applying would go on with. Raises UnrecognisedDatabaseError where the database is in
    no state that the layout declares, NotFoundError where there is no such revision.
    """
    whereabouts = target.whereabouts(connection)
    revisions = chosen_revisions(target, whereabouts, options)
    recording = record(target, connection, Request(revisions, options.direction, unfinished, scratching))
    sizes = target.database.dialect.table_sizes(connection, whereabouts.tables)
    steps = tuple(
        PlannedRevision(item.revision, tuple(_sized(sent, sizes) for sent in item.statements), item.depends_on_rows)
        for item in recording.revisions
    )
    content = {
        **target.content(connection, whereabouts),
        "options": options.as_json(),
        "current": list(whereabouts.heads),
        "schema": dict(whereabouts.snapshot),
        "statements": [
            [step.revision.id, item.sql, None if item.statement.changes_rows_only else repr(item.statement.parameters)]
            for step in steps
            for item in step.statements
            if not (step.depends_on_rows and item.statement.changes_rows_only)
        ],
    }
    warnings = (_unmeasured(recording.unmeasured),) if recording.unmeasured else ()
    return MigrationPlan(options, whereabouts, steps, target.name, recording.lost, fingerprint(content), warnings)


def chosen_revisions(target: MigrationTarget, whereabouts: Whereabouts, options: Options) -> list[Revision]:
    """The revisions that `options` ask for, in the order in which they run; empty if there is nothing to do."""
    chain = target.revisions
    if options.direction == "down":
        return _revisions_down(target, whereabouts, options)
    if options.target in (None, "heads"):
        wanted = chain.goals(Phase(options.phase))
        if not wanted:
            raise RevisionError(f"The layout '{target.name}' has no revisions.")
    else:
        wanted = (chain.get(options.target or "").id,)
    if not whereabouts.heads and not whereabouts.adopted:
        _require_start(target, whereabouts, explicit=options.target is not None)
    return chain.up(whereabouts.heads, wanted)


def _revisions_down(target: MigrationTarget, whereabouts: Whereabouts, options: Options) -> list[Revision]:
    if not whereabouts.heads and not whereabouts.adopted:
        raise unrecognised(target, whereabouts)
    wanted = None if options.target == "base" else target.revisions.get(options.target or "").id
    if wanted is not None and wanted not in target.revisions.before(whereabouts.heads):
        raise NotFoundError(
            f"The database has {', '.join(whereabouts.heads) or 'none'}, which is before {wanted}.",
            hint="chatctl migrate up goes forward.",
        )
    return target.revisions.down(whereabouts.heads, wanted)


def _require_start(target: MigrationTarget, whereabouts: Whereabouts, *, explicit: bool) -> None:
    """From nothing, only a database without the layout's tables can be built up, and only when told so by name."""
    if whereabouts.snapshot or not explicit:
        raise unrecognised(target, whereabouts)


def unrecognised(target: MigrationTarget, whereabouts: Whereabouts) -> UnrecognisedDatabaseError:
    """The error that says what keeps the database from the nearest state."""
    if target.revisions.chain and not whereabouts.snapshot:
        return UnrecognisedDatabaseError(
            f"{target.database.where} holds none of the tables of the layout '{target.name}'.",
            hint="Is it the right database and the right layout? chatctl init tells which layouts fit."
            f" The legacy tables are made by chatctl migrate up {target.revisions.chain[0].id}.",
        )
    shown = list(whereabouts.seen.differs[:12])
    if len(whereabouts.seen.differs) > len(shown):
        shown.append(f"and {len(whereabouts.seen.differs) - len(shown)} more")
    return UnrecognisedDatabaseError(
        f"{target.database.where} is in no state that the layout '{target.name}' declares"
        f" ({whereabouts.seen.state}): {'; '.join(shown)}.",
        hint="Is it the right database and the right layout? chatctl init tells which layouts fit.",
    )


def _sized(item: RecordedStatement, sizes: dict[str, TableSize]) -> PlannedStatement:
    named = [size for table, size in sizes.items() if item.statement.names(table)]
    largest = max(named, key=lambda size: size.bytes, default=None)
    rows, size = (largest.rows, largest.bytes) if largest else (None, None)
    return PlannedStatement(item.statement, rows, size, item.measured, item.line, item.commits_by_itself)


def _unmeasured(reason: str) -> Notice:
    return Notice(
        "not_measured",
        f"Nothing was measured, since the revisions can't run in a scratch copy of the schema: {reason}",
        "chatctl migrate lint judges the statements by rules.",
    )
