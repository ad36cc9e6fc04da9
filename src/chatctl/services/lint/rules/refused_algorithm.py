"""refused-algorithm: the statement asks for more than the server can do, so it will fail."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.findings import Harm, Severity
from chatctl.services.lint.rules.base import Rule


def forbidden(change: Change) -> frozenset[Harm]:
    """The harms that the statement's own ALGORITHM and LOCK forbid: the server refuses rather than do them."""
    if change.alter is None:
        return frozenset()
    found = set()
    if change.alter.option("ALGORITHM") in ("INSTANT", "NOCOPY"):
        found |= {Harm.REWRITES, Harm.BLOCKS}
    if change.alter.option("LOCK") == "NONE":
        found |= {Harm.BLOCKS}
    return frozenset(found)


def check(change: Change) -> Iterator[Complaint]:
    """What the rules before found, where the statement forbids it."""
    refused = [complaint for complaint in change.complaints if complaint.harms & forbidden(change)]
    if refused:
        yield Complaint(f"The server will refuse this: {refused[0].message}")


RULE = Rule(
    name="refused-algorithm",
    severity=Severity.WARNING,
    title="The server will refuse the algorithm or the lock that is asked for",
    problem=(
        "The statement asks for ALGORITHM=INSTANT, NOCOPY or LOCK=NONE, and what it changes can't be done so."
        " Nothing is"
        " harmed, for the server refuses it, but the migration stops there."
    ),
    remedy="Do as the finding's own rule says, or leave the clause out and accept what it costs.",
    hint="Change it as that rule's page says, or leave the clause out and accept what it costs.",
    check=check,
    bad="ALTER TABLE messages MODIFY tokens BIGINT NULL, ALGORITHM=INSTANT;",
    good="ALTER TABLE messages ADD COLUMN tokens_64 BIGINT NULL, ALGORITHM=INSTANT;",
    last=True,
)
