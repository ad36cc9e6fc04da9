"""Checks of the schema: is it the layout's, is the chain whole, has anything drifted or been left half done."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.domain.findings import Finding, Severity
from chatctl.services.doctor.base import NotApplicableError, Registered, Surroundings, finding, registrar
from chatctl.services.doctor.database import REACHABLE
from chatctl.services.lint.projects import find_project
from chatctl.services.migrate import reporting
from chatctl.services.migrate.chain import chain_problems
from chatctl.stores.sql.journal import RunStatus

CHECKS: Registered = []
check = registrar("schema", CHECKS)

_CHAIN = "revision-chain"
_STOPPED = (RunStatus.FAILED, RunStatus.PAUSED, RunStatus.INTERRUPTED)


@check(_CHAIN, "migrate")
def chain(around: Surroundings) -> Iterator[Finding]:
    """A revision whose parent is missing, or two that share one, stop a migration or leave half of it out."""
    place = around.settings.migrations_script_location
    if place is None:
        raise NotApplicableError("the revisions are chatctl's own")
    for problem in chain_problems(find_project(place).version_folders):
        where = ", ".join(str(file) for file in problem.files) or place
        yield finding(_CHAIN, where, problem.message, "Mend the files; chatctl migrate lint shows them all.")


@check("schema-state", "migrate", "regroup", "purge", "backup", after=REACHABLE)
def state(around: Surroundings) -> Iterator[Finding]:
    """What is no state of the layout was changed by hand or stopped halfway, or is another system's."""
    found = reporting.status(around.migration()).data
    if found["state"] in ("mixed", "unknown") and not found["adopted"]:
        differs = "; ".join(found["differs"][:3]) or "no table of the layout is there"
        message = f"The schema is in no state of the layout '{around.layout.name}': {differs}."
        yield finding("schema-state", found["database"], message, "chatctl migrate status says how it differs.")


@check("schema-drift", "migrate", "regroup", "purge", "backup", after=REACHABLE)
def drift(around: Surroundings) -> Iterator[Finding]:
    """A schema that somebody changed by hand is not the one that the next revision was written for."""
    migration = around.migration()
    stands = reporting.status(migration).data
    if stands["state"] in ("mixed", "unknown") and not stands["adopted"]:
        return  # all of it is another finding already
    found = reporting.check(migration).data
    for item in found["drift"][:20]:
        hint = "Take the change back, or record it with chatctl migrate adopt."
        yield finding("schema-drift", item["where"], item["message"], hint, severity=Severity.WARNING)


@check("migrations-pending", "regroup", "purge", "serve", after=REACHABLE)
def pending(around: Surroundings) -> Iterator[Finding]:
    """What works on the new tables needs them to be there."""
    found = reporting.check(around.migration()).data
    if found["pending"]:
        names = ", ".join(item["revision"] for item in found["pending"])
        message = f"Revisions are pending: {names}."
        yield finding("migrations-pending", around.layout.name, message, "Apply them first.", fix="chatctl migrate up")


@check("unfinished-runs", "migrate", "regroup", "purge", after=REACHABLE)
def unfinished(around: Surroundings) -> Iterator[Finding]:
    """A run that stopped halfway holds others up until it goes on or is ended."""
    target = around.migration()
    with target.database.connect() as connection:
        runs = target.journal.runs.list(connection, (), 50) if target.journal.exists(connection) else []
    for run in runs:
        if run.status in _STOPPED:
            message = f"The run {run.id} ({run.kind}) is {run.status.value}."
            hint = "Repeat its command to go on, or end it with chatctl runs cancel."
            yield finding("unfinished-runs", run.id, message, hint, severity=Severity.WARNING)
