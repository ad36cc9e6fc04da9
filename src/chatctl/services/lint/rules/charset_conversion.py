"""charset-conversion: texts are written in another character set or collation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.comparing import Comparison, Difference
from chatctl.services.lint.ddl import ConvertCharset
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import COPIES, Rule

_COSTLY = (Difference.CHARSET, Difference.COLLATION)


def check(change: Change) -> Iterator[Complaint]:
    """CONVERT TO CHARACTER SET, and columns that are defined in another one."""
    for item in change.redefinitions:
        if any(item.has(difference) for difference in _COSTLY):
            yield Complaint(
                f"Another character set or collation for {item.action.name} copies the table and blocks writes.", COPIES
            )
    for action in change.actions(ConvertCharset):
        converted = _converted(change, action)
        if converted is None or converted:
            which = f" ({', '.join(converted)})" if converted else ""
            yield Complaint(f"Converting the table{which} to {action.charset} copies it and blocks writes.", COPIES)


def _converted(change: Change, action: ConvertCharset) -> list[str] | None:
    """The columns that must be written anew; None where the table isn't known."""
    table, engine = change.table, change.engine
    if table is None or engine is None:
        return None
    searched = {name.lower() for index in table.indexes if index.kind == "fulltext" for name in index.columns}
    collation = action.collation or engine.collation_of(action.charset)
    found = []
    for column in table.columns:
        if not column.type.is_text:
            continue
        new = replace(column, charset=action.charset, collation=collation)
        comparison = Comparison(table, column, new, engine)
        recollated = column.name.lower() in searched and comparison.recollates
        if comparison.differences() or recollated:
            found.append(column.name)
    return found


RULE = Rule(
    name="charset-conversion",
    severity=Severity.ERROR,
    title="Texts are converted to another character set",
    problem=(
        "The bytes of every text change, so the table is copied while writes are blocked. Free on MariaDB are another"
        " collation of the same character set where no FULLTEXT index has the column, and utf8mb3 to utf8mb4 where"
        " no index"
        " has it and its length byte suffices; on MySQL neither is."
    ),
    remedy=(
        "Change the table's default, which is instant and counts for new columns, add a new column in the new character"
        " set, and fill it in batches."
    ),
    hint="Change the default alone, add a new column in the new character set, and fill it in batches.",
    check=check,
    bad="ALTER TABLE messages CONVERT TO CHARACTER SET utf8mb4;",
    good="ALTER TABLE messages DEFAULT CHARACTER SET utf8mb4;",
)
