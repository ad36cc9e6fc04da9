"""Which changes rebuild the whole table in place. `table_rebuild` and `blocking_lock` share it."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change
from chatctl.services.lint.comparing import Difference
from chatctl.services.lint.ddl import DropColumn, TableOption

_OPTIONS = ("FORCE", "ROW_FORMAT", "KEY_BLOCK_SIZE", "PAGE_COMPRESSED", "ENCRYPTED", "ENCRYPTION")


def rebuilds(change: Change) -> Iterator[str]:
    """What rebuilds the table, in words that begin a sentence."""
    for option in change.actions(TableOption):
        if option.name in _OPTIONS:
            yield f"{option.name}={option.value}" if option.value else "Rebuilding by FORCE or OPTIMIZE"
        elif option.name == "ENGINE" and option.value.upper() == "INNODB":
            yield "ENGINE=InnoDB on a table that is InnoDB"
    for item in change.redefinitions:
        if item.has(Difference.NULLABLE) and not item.has(Difference.TYPE):
            yield f"Allowing NULL in {item.action.name}"
    if not change.changes_columns_instantly:
        stored = [column for column in change.added_columns if column.generated is None and not column.auto_increment]
        yield from (f"Adding {column.name} to a table of this kind" for column in stored)
        yield from (f"Dropping {action.name} from a table of this kind" for action in change.actions(DropColumn))
