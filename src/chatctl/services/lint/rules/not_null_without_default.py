"""not-null-without-default: an INSERT that was fine is refused afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.comparing import Difference
from chatctl.services.lint.ddl import AlterDefault
from chatctl.services.lint.findings import Harm, Severity
from chatctl.services.lint.rules.base import BREAKS, Rule


def check(change: Change) -> Iterator[Complaint]:
    """New columns that must be named, and columns that NULL or a default leaves."""
    for column in change.added_columns:
        if column.required:
            yield Complaint(
                f"{column.name} is NOT NULL without a default: an INSERT that doesn't name it fails.", BREAKS
            )
    for item in change.redefinitions:
        required = item.has(Difference.REQUIRED)
        if item.has(Difference.NOT_NULL):
            harms = change.rebuild_harms | (BREAKS if required else frozenset[Harm]())
            yield Complaint(f"{item.action.name} becomes NOT NULL: that rebuilds the table, and NULL fails.", harms)
        elif required:
            yield Complaint(f"{item.action.name} loses its default: an INSERT that doesn't name it fails.", BREAKS)
    for action in change.actions(AlterDefault):
        column_before = change.table.column(action.name) if change.table else None
        if action.default is None and column_before is not None and not column_before.nullable:
            yield Complaint(f"{action.name} loses its default: an INSERT that doesn't name it fails.", BREAKS)


RULE = Rule(
    name="not-null-without-default",
    severity=Severity.ERROR,
    title="A column must be named that the application doesn't know",
    problem=(
        "While the application of yesterday still runs, its INSERTs don't name the column, and in strict mode the"
        " server"
        " refuses them. Making an existing column NOT NULL rebuilds the table besides, and fails where there is a NULL."
        " MODIFY that doesn't repeat a DEFAULT or AUTO_INCREMENT drops it."
    ),
    remedy=(
        "Give the column a default, which is instant, or let it be NULL until every running application writes it."
        " Repeat"
        " all of a column's attributes in MODIFY and CHANGE."
    ),
    hint="Give it a default, or let it be NULL until every running application writes it.",
    check=check,
    bad="ALTER TABLE messages ADD COLUMN kind VARCHAR(16) NOT NULL;",
    good="ALTER TABLE messages ADD COLUMN kind VARCHAR(16) NOT NULL DEFAULT 'text';",
    engines=("mariadb", "mysql", "sqlite"),
)
