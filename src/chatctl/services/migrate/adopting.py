"""`migrate adopt`: recognises a database that chatctl didn't make, and puts it under its revisions."""

from __future__ import annotations

from chatctl.domain.result import Notice, Result
from chatctl.errors import RevisionError
from chatctl.layouts.model import Phase
from chatctl.services.migrate.planning import unrecognised
from chatctl.services.migrate.target import MigrationTarget, Whereabouts
from chatctl.stores.sql.journal import RunStatus


def adopt(target: MigrationTarget, *, dry_run: bool = False) -> Result:
    """Stamps a recognised database with its revision and records its schema as found.

    Raises UnrecognisedDatabaseError, listing what differs, where it is in no state that the layout declares.
    """
    target.require_database()
    if not target.revisions.chain:
        raise RevisionError(
            f"The layout '{target.layout.name}' has no revisions to put a database under.",
            hint="What needs none works without: migrate status and check, import and export.",
        )
    with target.database.connect() as connection:
        whereabouts = target.whereabouts(connection)
    if whereabouts.revision is None:
        raise unrecognised(target, whereabouts)
    run_id = None
    if not whereabouts.adopted and not dry_run:
        target.journal.ensure()
        run_id = record_adoption(target, whereabouts)
    return Result(
        {
            "layout": target.layout.name,
            "state": whereabouts.seen.state,
            "revision": whereabouts.revision,
            "adopted": not whereabouts.adopted,
            "differs": _departures(target, whereabouts),
            "dry_run": dry_run,
        },
        run_id=run_id,
        warnings=_already(whereabouts),
    )


def record_adoption(target: MigrationTarget, whereabouts: Whereabouts) -> str:
    """Stamps the version table, records the schema that drift will be measured from, and notes the run; its ID."""
    assert whereabouts.revision is not None
    revision = target.revisions.get(whereabouts.revision)
    with target.database.translating(), target.database.engine.connect() as connection:
        target.revisions.stamp(connection, revision)
        connection.commit()
        with connection.begin():
            runs = target.journal.runs
            run = runs.start(connection, "migrate adopt", target.layout.name, "schema", {"revision": revision.id})
            target.journal.record_schema(connection, target.layout.name, whereabouts.snapshot, run.id)
            runs.finish(connection, run.id, RunStatus.DONE, {"revisions": [revision.id]})
    return run.id


def _already(whereabouts: Whereabouts) -> tuple[Notice, ...]:
    if not whereabouts.adopted:
        return ()
    return (Notice("already_adopted", f"The database is under its revisions already, at {whereabouts.revision}."),)


def _departures(target: MigrationTarget, whereabouts: Whereabouts) -> list[str]:
    """What an adopted database has besides, or lacks of, what the layout declares; none of it refuses adoption."""
    phase = whereabouts.seen.phase or Phase.LEGACY
    found = []
    for entity in target.layout.entities_at(phase).values():
        declared = {column.name for column in entity.columns_at(phase).values()}
        present = {path.partition(".")[2] for path in whereabouts.snapshot if path.startswith(f"{entity.table}.")}
        found += [f"{entity.table}.{name}: not in the layout" for name in sorted(present - declared)]
        found += [f"{entity.table}.{name}: optional, not there" for name in sorted(declared - present)]
    return found
