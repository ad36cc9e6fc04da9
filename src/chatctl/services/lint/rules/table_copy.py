"""table-copy: the server can do it only by copying the table while nobody may write."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.comparing import Difference
from chatctl.services.lint.ddl import AddColumn, AddIndex, Column, DropColumn, DropIndex, TableOption
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import COPIES, Rule

#: Functions whose value differs from row to row; a default that calls none of them and no column is stored once.
_VOLATILE = frozenset({"uuid", "uuid_short", "sys_guid", "random_bytes", "sysdate", "nextval", "next"})
_COPYING_OPTIONS = (
    "ORDER BY",
    "PARTITION BY",
    "REMOVE PARTITIONING",
    "ADD SYSTEM VERSIONING",
    "DROP SYSTEM VERSIONING",
)


def check(change: Change) -> Iterator[Complaint]:
    """Columns whose stored values change, columns whose values must be computed, other engines, partitions."""
    for item in change.redefinitions:
        if item.has(Difference.TYPE) and item.old is not None:
            yield Complaint(
                f"Changing {item.action.name} from {item.old.type} to {item.action.column.type} copies the table"
                " and blocks writes.",
                COPIES,
            )
    for column in change.added_columns:
        reason = _computed(column, change)
        if reason:
            yield Complaint(f"Adding {column.name} copies the table and blocks writes: {reason}.", COPIES)
    if _mixes_virtual_columns(change):
        yield Complaint(
            "A virtual column that is added together with other changes copies the table and blocks writes.",
            COPIES,
            hint="Add the virtual column in an ALTER of its own, where it is instant.",
        )
    for option in change.actions(TableOption):
        if option.name == "ENGINE" and option.value.upper() != "INNODB":
            yield Complaint(f"ENGINE={option.value} copies the table and blocks writes.", COPIES)
        elif option.name in _COPYING_OPTIONS:
            yield Complaint(f"{option.name} copies the table and blocks writes.", COPIES)
        elif option.name == "ALGORITHM" and option.value.upper() == "COPY":
            yield Complaint("ALGORITHM=COPY copies the table and blocks writes.", COPIES)


def _mixes_virtual_columns(change: Change) -> bool:
    """Whether a virtual column comes with anything but indexes, dropped columns and other virtual columns."""
    if change.alter is None or not any(column.generated == "virtual" for column in change.added_columns):
        return False
    others = [action for action in change.alter.actions if not isinstance(action, DropColumn | AddIndex | DropIndex)]
    return any(
        not (isinstance(action, TableOption) and action.name in ("ALGORITHM", "LOCK"))
        and not (isinstance(action, AddColumn) and action.column.generated == "virtual")
        for action in others
    )


def _computed(column: Column, change: Change) -> str | None:
    if column.generated == "stored":
        return "its value is computed and stored for each row"
    columns = {other.name.lower() for other in change.table.columns} if change.table else set()
    if column.default is not None and _names_in(column.default) & (_VOLATILE | columns):
        return f"its default, {column.default}, differs from row to row"
    return None


def _names_in(expression: str) -> set[str]:
    """The functions and columns in a default; what stands in quotes is neither."""
    return {name.lower() for name in re.findall(r"[^\W\d]\w*", re.sub(r"'[^']*'", "", expression))}


RULE = Rule(
    name="table-copy",
    severity=Severity.ERROR,
    title="The table is copied while nobody may write",
    problem=(
        "The server makes a new table, copies every row into it under a lock that blocks writes, and swaps the two."
        " On a"
        " large table the application stands still for minutes or hours, a replica for as long again, and the disk must"
        " hold the table twice."
    ),
    remedy=(
        "Add a new column of the wanted type, which is instant; let the application write both; fill the new one in"
        " batches; then let the application read it, and drop the old one in a later release."
    ),
    hint="Add a new column instead, fill it in batches, and drop the old one once nobody reads it.",
    check=check,
    bad="ALTER TABLE messages MODIFY tokens BIGINT NULL;",
    good="ALTER TABLE messages ADD COLUMN tokens_64 BIGINT NULL, ALGORITHM=INSTANT;",
)
