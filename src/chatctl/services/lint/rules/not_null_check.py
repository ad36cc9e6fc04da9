"""not-null-check: what forbids NULL binds new rows from the first moment, validated or not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import AddCheck
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import BREAKS, Rule

_NOT_NULL = re.compile(r"\(*\s*\"?(?P<column>[^\W\d]\w*)\"?\s+IS\s+NOT\s+NULL\s*\)*", re.IGNORECASE)


def check(change: Change) -> Iterator[Complaint]:
    """ADD CHECK (column IS NOT NULL) and ADD PRIMARY KEY where an INSERT may leave the column out."""
    for name in change.newly_required:
        yield Complaint(f"An INSERT that doesn't name {name} fails from this statement on.", BREAKS)
    for action in change.actions(AddCheck):
        match = _NOT_NULL.fullmatch(action.expression)
        column = change.table.column(match["column"]) if match and change.table else None
        if column is not None and column.nullable and column.default is None:
            yield Complaint(f"An INSERT that doesn't name {column.name} fails from this statement on.", BREAKS)


RULE = Rule(
    name="not-null-check",
    severity=Severity.WARNING,
    title="A CHECK or a primary key forbids NULL in a column that INSERTs leave out",
    problem=(
        "NOT VALID spares the old rows, not the new ones: an application that doesn't write the column is refused at"
        " once."
    ),
    remedy="Give the column a default first, or wait until every running application writes it.",
    hint="Give the column a default first, or wait until every running application writes it.",
    check=check,
    bad="ALTER TABLE messages ADD CONSTRAINT owned CHECK (chat_id IS NOT NULL) NOT VALID;",
    good="-- Once every running application writes chat_id. chatctl: allow not-null-check\n"
    "ALTER TABLE messages ADD CONSTRAINT owned CHECK (chat_id IS NOT NULL) NOT VALID;",
    engines=("postgresql",),
)
