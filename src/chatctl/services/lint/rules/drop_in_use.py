"""drop-in-use: a table or column goes that the running application may still name."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import DropColumn, DropTables
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import BREAKS, Rule

#: What Alembic's batch mode calls the copy that takes a table's place.
BATCH_PREFIX = "_alembic_tmp_"


def check(change: Change) -> Iterator[Complaint]:
    """DROP TABLE and DROP COLUMN, unless it is known that nobody uses them."""
    if isinstance(change.statement, DropTables):
        for name in change.statement.tables:
            table = change.catalog.get(name)
            replaced = change.catalog.get(BATCH_PREFIX + name) is not None
            if not replaced and not change.catalog.lacks(name) and not (table is not None and table.is_new):
                yield from complaint_of_use(change, name, None, "is dropped")
    for action in change.actions(DropColumn):
        if change.alter is not None:
            yield from complaint_of_use(change, change.alter.table, action.name, "is dropped")


def complaint_of_use(change: Change, table: str, column: str | None, what: str) -> Iterator[Complaint]:
    """An error where the thing is in use, a warning where nobody knows, nothing where it isn't."""
    used = change.in_use(table, column)
    if used is False:
        return
    name = f"{table}.{column}" if column else table
    known = "in use" if used else "perhaps still in use"
    yield Complaint(
        f"{name} {what} and is {known}: what names it fails from then on.",
        BREAKS,
        Severity.ERROR if used else Severity.WARNING,
    )


RULE = Rule(
    name="drop-in-use",
    severity=Severity.WARNING,
    title="A table or column in use is dropped",
    problem=(
        "From that moment every statement of the running application that names it fails, and its data is gone. It"
        " is an"
        " error where the layout says that the column is in use in this phase, and a warning where nobody knows."
    ),
    remedy=(
        "Release an application that doesn't name it first, wait until no other runs, and drop it in a revision of"
        " its own"
        ' (`phase = "contract"`). Say so by `chatctl: allow drop-in-use`.'
    ),
    hint="Drop it in a later revision, once no running application names it.",
    check=check,
    bad="ALTER TABLE messages DROP COLUMN userId;",
    good="-- Nothing has named messages.userId since the last release. chatctl: allow drop-in-use\n"
    "ALTER TABLE messages DROP COLUMN userId;",
    engines=("mariadb", "mysql", "sqlite", "postgresql"),
)
