"""varchar-growth: a VARCHAR that no longer fits its one length byte."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.comparing import Difference
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import COPIES, Rule


def check(change: Change) -> Iterator[Complaint]:
    """Columns whose longest text grows from at most 255 bytes to more."""
    for item in change.redefinitions:
        if item.has(Difference.LENGTH_BYTE) and item.old is not None:
            yield Complaint(
                f"{item.action.name} grows from {item.old.type} to {item.action.column.type}, over 255 bytes: that"
                " copies the table and blocks writes.",
                COPIES,
            )


RULE = Rule(
    name="varchar-growth",
    severity=Severity.ERROR,
    title="A VARCHAR grows over its length byte",
    problem=(
        "A VARCHAR of at most 255 bytes keeps its length in one byte, a longer one in two. Growing within either is"
        " instant; growing from one to the other copies the table while writes are blocked. What counts is bytes: in"
        " utf8mb4"
        " 63 characters fit into one length byte, 64 don't. MariaDB can tell the two apart in columns of at most 127"
        " bytes"
        " (31 characters in utf8mb4), which grow to any length."
    ),
    remedy="Stay within 255 bytes, or add a new column of the wanted length and fill it in batches.",
    hint="Stay within 255 bytes (63 characters of utf8mb4), or add a new column and fill it in batches.",
    check=check,
    bad="ALTER TABLE users MODIFY name VARCHAR(64) NULL; -- was VARCHAR(50)",
    good="ALTER TABLE users MODIFY name VARCHAR(63) NULL; -- was VARCHAR(50)",
)
