"""serial-column: a column that counts, added to a PostgreSQL table that has rows."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import COPIES, Rule

_SERIALS = ("smallserial", "serial", "bigserial", "serial2", "serial4", "serial8")


def check(change: Change) -> Iterator[Complaint]:
    """ADD COLUMN of a serial type."""
    for column in change.added_columns:
        if column.type.name in _SERIALS or column.auto_increment:
            yield Complaint(
                f"Numbering every row for {column.name} rewrites the table under an exclusive lock.", COPIES
            )


RULE = Rule(
    name="serial-column",
    severity=Severity.ERROR,
    title="A counting column is added to a table with rows",
    problem="Every row gets its number at once: the table is rewritten while nobody may read or write.",
    remedy=(
        "Add a plain nullable column, make a sequence its default in a second statement (new rows count from then on),"
        " and number the old rows in batches."
    ),
    hint="Add a nullable column, give it a sequence as default afterwards, and number old rows in batches.",
    check=check,
    bad="ALTER TABLE messages ADD COLUMN number BIGSERIAL;",
    good="ALTER TABLE messages ADD COLUMN number BIGINT;\nALTER TABLE messages ALTER COLUMN number"
    " SET DEFAULT nextval('message_numbers');",
    engines=("postgresql",),
)
