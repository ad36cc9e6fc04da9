"""unknown-column: a definition is changed, and nobody told the linter what it was before."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import Rule


def check(change: Change) -> Iterator[Complaint]:
    """MODIFY and CHANGE of columns whose definition isn't known."""
    for item in change.redefinitions:
        if item.old is None and change.alter is not None:
            yield Complaint(
                f"{change.alter.table}.{item.action.name} is defined anew, and what it was before isn't known: it may"
                f" be"
                " free, or copy the table."
            )


RULE = Rule(
    name="unknown-column",
    severity=Severity.WARNING,
    title="A column is changed that the linter doesn't know",
    problem="Whether MODIFY and CHANGE are free depends on what the column was before.",
    remedy="Give the linter the schema: `--schema dump.sql`, or a context whose database it may read.",
    hint="Give the schema with --schema FILE.sql, or name a database that may be read.",
    check=check,
    bad="chatctl migrate lint change.sql --dialect mariadb",
    good="chatctl migrate lint change.sql --dialect mariadb --schema dump.sql",
)
