"""rename-in-use: a table or column gets another name while the running application calls it by the old one."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import ChangeColumn, RenameColumn, RenameTable, RenameTables
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import Rule
from chatctl.services.lint.rules.drop_in_use import complaint_of_use


def check(change: Change) -> Iterator[Complaint]:
    """RENAME of tables and columns, and CHANGE with another name, unless it is known that nobody uses them."""
    if isinstance(change.statement, RenameTables):
        for old, new in change.statement.pairs:
            table = change.catalog.get(old)
            if table is None or not table.is_new:
                yield from complaint_of_use(change, old, None, f"is renamed to {new}")
    if change.alter is None:
        return
    table_name = change.alter.table
    for renamed in change.actions(RenameTable):
        yield from complaint_of_use(change, table_name, None, f"is renamed to {renamed.to}")
    pairs = [(action.name, action.to) for action in change.actions(RenameColumn)]
    pairs += [(action.name, action.column.name) for action in change.actions(ChangeColumn)]
    for old, new in pairs:
        if old.lower() != new.lower():
            yield from complaint_of_use(change, table_name, old, f"is renamed to {new}")


RULE = Rule(
    name="rename-in-use",
    severity=Severity.WARNING,
    title="A table or column in use is renamed",
    problem=(
        "The running application calls it by its old name, the next one by its new name; whichever moment you"
        " choose, one of"
        " them fails. It is an error where the layout says that the name is in use, and a warning where nobody knows."
    ),
    remedy=(
        "Add a column of the new name, write both, fill it in batches, read the new one, and drop the old one later."
        " Of a"
        " table, leave a view behind under the old name."
    ),
    hint="Add the new name beside the old one, and drop the old one once nobody calls it so.",
    check=check,
    bad="ALTER TABLE messages RENAME COLUMN userId TO user_id;",
    good="ALTER TABLE messages ADD COLUMN user_id VARCHAR(64) NULL;",
    engines=("mariadb", "mysql", "sqlite", "postgresql"),
)
