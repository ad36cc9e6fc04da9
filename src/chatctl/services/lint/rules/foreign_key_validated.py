"""foreign-key-validated: a foreign key that is checked against all rows, under a lock."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import AddForeignKey
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import COPIES, Rule


def check(change: Change) -> Iterator[Complaint]:
    """ADD FOREIGN KEY, and REFERENCES on a new column where the engine heeds it, while checks are on."""
    if not change.checks_foreign_keys:
        return
    parents = [(", ".join(action.columns), action.parent) for action in change.actions(AddForeignKey)]
    if change.engine is not None and change.engine.inline_references:
        parents += [(column.name, column.references) for column in change.added_columns if column.references]
    for columns, parent in parents:
        yield Complaint(
            f"The foreign key from {columns} to {parent} is checked by copying the table while writes are blocked.",
            COPIES,
        )


RULE = Rule(
    name="foreign-key-validated",
    severity=Severity.ERROR,
    title="A foreign key is checked while writes are blocked",
    problem=(
        "With `foreign_key_checks=1` the server adds a foreign key only by copying the table, row by row, while"
        " nobody may"
        " write."
    ),
    remedy=(
        "Add it with `foreign_key_checks=0`, which is done in place, and make sure by a query before and after that"
        " no row"
        " lacks its parent. On a new column there is nothing to check: all of it is NULL."
    ),
    hint="Add it with foreign_key_checks=0, and look for rows without a parent by a query.",
    check=check,
    bad="ALTER TABLE messages ADD FOREIGN KEY (chatId) REFERENCES chats (id);",
    good=(
        "SET STATEMENT foreign_key_checks=0 FOR\n"
        "  ALTER TABLE messages ADD FOREIGN KEY (chatId) REFERENCES chats (id), LOCK=NONE;"
    ),
)
