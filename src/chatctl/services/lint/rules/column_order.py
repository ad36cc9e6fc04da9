"""column-order: FIRST and AFTER, where moving a column rebuilds the table."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import Rule


def check(change: Change) -> Iterator[Complaint]:
    """Existing columns that are moved on an engine or in a table where that isn't free."""
    free = change.engine is not None and change.engine.moves_columns and change.changes_columns_instantly
    for item in change.redefinitions:
        if item.action.position is not None and not free:
            yield Complaint(f"Moving {item.action.name} rebuilds the table.", change.rebuild_harms)


RULE = Rule(
    name="column-order",
    severity=Severity.WARNING,
    title="A column is moved",
    problem=(
        "The order of columns is part of how MySQL stores a row, so moving an existing one rebuilds the table. MariaDB"
        " moves columns instantly, except in tables with a FULLTEXT index (where it blocks writes, too) or with"
        " `ROW_FORMAT=COMPRESSED`."
    ),
    remedy="Leave the column where it is: its place matters to nobody who names the columns.",
    hint="Leave FIRST or AFTER out: nobody who names the columns sees their order.",
    check=check,
    bad="ALTER TABLE messages MODIFY role VARCHAR(32) NOT NULL AFTER id;",
    good="ALTER TABLE messages MODIFY role VARCHAR(32) NOT NULL;",
)
