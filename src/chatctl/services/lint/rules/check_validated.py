"""check-validated: a CHECK on an existing table, which is tested against all rows in a copy."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import AddCheck
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import COPIES, Rule


def check(change: Change) -> Iterator[Complaint]:
    """ADD CHECK; one in the definition of a new column is free."""
    for action in change.actions(AddCheck):
        yield Complaint(f"CHECK ({action.expression}) copies the table and blocks writes.", COPIES)


RULE = Rule(
    name="check-validated",
    severity=Severity.ERROR,
    title="A CHECK is tested while writes are blocked",
    problem="The server adds a CHECK to an existing table only by copying it, while nobody may write.",
    remedy="Let the application check, or put the CHECK on a new column, in its own definition, which is instant.",
    hint="Put the CHECK on a new column, in its definition, or let the application check.",
    check=check,
    bad="ALTER TABLE breakers ADD CHECK (state IN ('OPEN', 'CLOSED'));",
    good="ALTER TABLE breakers ADD COLUMN mode VARCHAR(16) NULL CHECK (mode IN ('OPEN', 'CLOSED'));",
)
