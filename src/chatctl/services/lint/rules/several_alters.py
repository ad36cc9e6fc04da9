"""several-alters: a table is rewritten more than once where once would do."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.findings import Harm, Severity
from chatctl.services.lint.rules.base import Rule


def check(change: Change) -> Iterator[Complaint]:
    """The second and every later rewrite of the same table."""
    rewrites = any(Harm.REWRITES in complaint.harms for complaint in change.complaints)
    if rewrites and change.rewritten_at is not None and change.alter is not None:
        yield Complaint(f"{change.alter.table} was rewritten already at {change.rewritten_at}, and is once more here.")


RULE = Rule(
    name="several-alters",
    severity=Severity.WARNING,
    title="Several rewrites could be one",
    problem="Each of these ALTERs writes every row anew; in one ALTER they would be written once.",
    remedy="Put the changes that rewrite a table into one ALTER. Leave instant ones out of it: they would lose that.",
    hint="Put the changes that rewrite the table into one ALTER.",
    check=check,
    bad="ALTER TABLE messages MODIFY role VARCHAR(32) NULL;\nALTER TABLE messages MODIFY model VARCHAR(64) NULL;",
    good="ALTER TABLE messages MODIFY role VARCHAR(32) NULL, MODIFY model VARCHAR(64) NULL;",
    last=True,
)
