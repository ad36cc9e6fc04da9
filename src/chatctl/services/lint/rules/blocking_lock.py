"""blocking-lock: nobody may write for as long as the work takes, though no copy is made."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import AddIndex, LockTables, TableOption
from chatctl.services.lint.findings import Harm, Severity
from chatctl.services.lint.rules.base import Rule
from chatctl.services.lint.rules.rebuilds import rebuilds

_BLOCKS = frozenset({Harm.BLOCKS})
_BOTH = frozenset({Harm.BLOCKS, Harm.REWRITES})


def check(change: Change) -> Iterator[Complaint]:
    """FULLTEXT and SPATIAL indexes, AUTO_INCREMENT, rebuilds beside a FULLTEXT index, explicit locks."""
    yield from _indexes(change)
    for column in change.added_columns:
        if column.auto_increment:
            yield Complaint(f"Adding {column.name} AUTO_INCREMENT numbers every row while writes are blocked.", _BOTH)
    if change.rebuild_blocks:
        for what in rebuilds(change):
            yield Complaint(
                f"{what} rebuilds the table, and its FULLTEXT or SPATIAL index keeps writes blocked.", _BOTH
            )
    for option in change.actions(TableOption):
        if option.name == "LOCK" and option.value.upper() in ("SHARED", "EXCLUSIVE"):
            yield Complaint(f"LOCK={option.value.upper()} blocks writes.", _BLOCKS)
    if isinstance(change.statement, LockTables):
        yield Complaint("LOCK TABLES blocks everybody else until it is released.", _BLOCKS)


def _indexes(change: Change) -> Iterator[Complaint]:
    computed = {column.name.lower() for column in change.added_columns if column.generated == "virtual"}
    for action in change.actions(AddIndex):
        index = action.index
        if index.kind == "fulltext":
            first = change.table is None or not change.table.has_kind("fulltext")
            yield Complaint("A FULLTEXT index is built while writes are blocked.", _BOTH if first else _BLOCKS)
        elif index.kind == "spatial":
            yield Complaint("A SPATIAL index is built while writes are blocked.", _BLOCKS)
        elif computed.intersection(map(str.lower, index.columns)):
            yield Complaint(
                "An index over a virtual column that the same ALTER adds is built while writes are blocked.",
                _BLOCKS,
                hint="Add the column first, then build the index in an ALTER of its own.",
            )


RULE = Rule(
    name="blocking-lock",
    severity=Severity.ERROR,
    title="Writes are blocked while the server works",
    problem=(
        "The server can build a FULLTEXT or SPATIAL index, number rows for a new AUTO_INCREMENT column, and rebuild"
        " a table"
        " that has a FULLTEXT index only under a lock that lets nobody write. The first FULLTEXT index of a table"
        " rebuilds"
        " it as well."
    ),
    remedy=(
        "Build it on a new table that is filled in batches and swapped in by RENAME TABLE, or keep texts that are"
        " searched"
        " in a table of their own."
    ),
    hint="Build it on a new table that is filled in batches and renamed into place.",
    check=check,
    bad="ALTER TABLE messages ADD FULLTEXT INDEX idx_content (content);",
    good="CREATE TABLE message_texts (message_id VARCHAR(64) PRIMARY KEY, content LONGTEXT, FULLTEXT INDEX (content));",
)
