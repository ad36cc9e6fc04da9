"""check-on-new-column: PostgreSQL tests the CHECK of a new column against every row, though all of them are alike."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.findings import Harm, Severity
from chatctl.services.lint.rules.base import Rule


def check(change: Change) -> Iterator[Complaint]:
    """ADD COLUMN … CHECK."""
    for column in change.added_columns:
        if column.check:
            yield Complaint(
                f"CHECK ({column.check}) on the new column {column.name} reads the whole table while locked.",
                frozenset({Harm.BLOCKS}),
            )


RULE = Rule(
    name="check-on-new-column",
    severity=Severity.ERROR,
    title="A new column comes with a CHECK",
    problem="The server tests every row of the table before it lets anybody read or write again.",
    remedy="Add the column without it, add the constraint NOT VALID, and validate it in a transaction of its own.",
    hint="Add the column first, the constraint NOT VALID after it, and VALIDATE it by itself.",
    check=check,
    bad="ALTER TABLE sessions ADD COLUMN score INT CHECK (score > 0);",
    good=(
        "ALTER TABLE sessions ADD COLUMN score INT;\n"
        "ALTER TABLE sessions ADD CONSTRAINT score_positive CHECK (score > 0) NOT VALID;\n"
        "ALTER TABLE sessions VALIDATE CONSTRAINT score_positive;"
    ),
    engines=("postgresql",),
)
