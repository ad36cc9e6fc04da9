"""instant-lost: a change of columns that would be instant shares its ALTER with an index."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import AddForeignKey, AddIndex, DropColumn
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import Rule


def check(change: Change) -> Iterator[Complaint]:
    """Columns that come, go or move in the same ALTER that builds an index."""
    if not change.changes_columns_instantly or not (change.builds_index or _adds_unchecked_key(change)):
        return
    names = [column.name for column in change.added_columns if column.generated is None and not column.auto_increment]
    names += [action.name for action in change.actions(DropColumn)]
    names += [item.action.name for item in change.redefinitions if item.action.position is not None]
    if names and not any(action.index.kind == "fulltext" for action in change.actions(AddIndex)):
        yield Complaint(
            f"Together with an index, the change of {', '.join(names)} rebuilds the table; alone it is instant.",
            change.rebuild_harms,
        )


def _adds_unchecked_key(change: Change) -> bool:
    return not change.checks_foreign_keys and any(True for _ in change.actions(AddForeignKey))


RULE = Rule(
    name="instant-lost",
    severity=Severity.WARNING,
    title="An instant change is made slow by an index beside it",
    problem=(
        "Adding, dropping and moving columns is instant, and an index is built without touching the rows. In one ALTER,"
        " though, the server uses one algorithm for all of it, and rebuilds the table."
    ),
    remedy="Change the columns in one ALTER and build the index in the next.",
    hint="Change the columns first, and build the index in an ALTER of its own.",
    check=check,
    bad="ALTER TABLE messages ADD COLUMN chatId VARCHAR(64) NULL, ADD INDEX idx_chat (chatId);",
    good="ALTER TABLE messages ADD COLUMN chatId VARCHAR(64) NULL;\nALTER TABLE messages ADD INDEX idx_chat (chatId);",
)
