"""table-rebuild: the server writes every row anew, but lets the application go on."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import Rule
from chatctl.services.lint.rules.rebuilds import rebuilds


def check(change: Change) -> Iterator[Complaint]:
    """Rebuilds that let writes pass."""
    if not change.rebuild_blocks:
        for what in rebuilds(change):
            yield Complaint(f"{what} rebuilds the table.", change.rebuild_harms)


RULE = Rule(
    name="table-rebuild",
    severity=Severity.WARNING,
    title="The table is rebuilt in place",
    problem=(
        "Every row is written anew while reads and writes go on. It takes time, disk space and I/O with the table's"
        " size,"
        " the log of the writes meanwhile must fit into `innodb_online_alter_log_max_size`, and a replica does it"
        " all over"
        " again, falling behind for as long. Tables with `ROW_FORMAT=COMPRESSED` rebuild even to add or drop a column."
    ),
    remedy="Do it when there is little to do, on its own, and watch the replicas; or leave it out.",
    hint="Do it at a quiet time and watch the replicas, or leave it out.",
    check=check,
    bad="ALTER TABLE messages MODIFY role VARCHAR(32) NULL;",
    good="-- Leave role NOT NULL and let the application write '' instead.",
)
