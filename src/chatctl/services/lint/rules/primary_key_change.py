"""primary-key-change: the order in which all rows are stored changes."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.catalog import Table
from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import AddIndex, DropIndex, Index
from chatctl.services.lint.findings import Harm, Severity
from chatctl.services.lint.rules.base import BREAKS, COPIES, Rule


def check(change: Change) -> Iterator[Complaint]:
    """ADD and DROP PRIMARY KEY, and a new column that is one."""
    drops = any(action.name is None for action in change.actions(DropIndex))
    adds = any(action.index.kind == "primary" for action in change.actions(AddIndex))
    inline = any(column.key == "primary" and not column.auto_increment for column in change.added_columns)
    if adds or inline:
        named = ", ".join(change.newly_required)
        also = f", and an INSERT must name {named} from then on" if named else ""
        harms = change.rebuild_harms | (BREAKS if named else frozenset[Harm]())
        yield Complaint(f"A new primary key rebuilds the table{also}.", harms, Severity.ERROR if named else None)
    elif not drops and _becomes_primary(change):
        yield Complaint(
            "The table has no primary key: this index becomes one, which rebuilds it.", change.rebuild_harms
        )
    elif drops and _has_substitute(change):
        yield Complaint("Dropping the primary key rebuilds the table.", change.rebuild_harms)
    elif drops:
        yield Complaint(
            "Dropping the primary key copies the table and blocks writes.",
            COPIES,
            Severity.ERROR,
            hint="Drop it and add the new one in the same ALTER: that lets writes pass.",
        )


def _has_substitute(change: Change) -> bool:
    """Whether a UNIQUE index over columns without NULL takes the primary key's place."""
    return change.table is not None and any(_may_be_primary(change.table, index) for index in change.table.indexes)


def _becomes_primary(change: Change) -> bool:
    table = change.table
    if table is None or table.has_kind("primary") or _has_substitute(change):
        return False
    return any(_may_be_primary(table, action.index) for action in change.actions(AddIndex))


def _may_be_primary(table: Table, index: Index) -> bool:
    required = {column.name.lower() for column in table.columns if not column.nullable}
    return index.kind == "unique" and required.issuperset(map(str.lower, index.columns))


RULE = Rule(
    name="primary-key-change",
    severity=Severity.WARNING,
    title="The primary key changes",
    problem=(
        "InnoDB stores rows in the order of the primary key, and every other index holds it. A new one rebuilds the"
        " table"
        " and all of its indexes; dropping it without a new one copies the table while writes are blocked, unless a"
        " UNIQUE"
        " index over NOT NULL columns takes its place."
    ),
    remedy="Drop and add in one ALTER, at a quiet time; or build the table anew beside the old one.",
    hint="Do it at a quiet time, dropping and adding in one ALTER.",
    check=check,
    bad="ALTER TABLE messages DROP PRIMARY KEY;\nALTER TABLE messages ADD PRIMARY KEY (id, createdAt);",
    good="ALTER TABLE messages DROP PRIMARY KEY, ADD PRIMARY KEY (id, createdAt), LOCK=NONE;",
)
