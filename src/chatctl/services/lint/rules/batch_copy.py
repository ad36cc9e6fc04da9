"""batch-copy: Alembic's batch mode copies a SQLite table while nobody may write."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import CreateTable
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import COPIES, Rule
from chatctl.services.lint.rules.drop_in_use import BATCH_PREFIX


def check(change: Change) -> Iterator[Complaint]:
    """The table that batch mode makes to copy another one into."""
    statement = change.statement
    if isinstance(statement, CreateTable) and statement.table.startswith(BATCH_PREFIX):
        name = statement.table.removeprefix(BATCH_PREFIX)
        yield Complaint(f"Batch mode copies {name}, and nobody may write to the database meanwhile.", COPIES)


RULE = Rule(
    name="batch-copy",
    severity=Severity.WARNING,
    title="A SQLite table is copied",
    problem=(
        "SQLite can add, drop and rename columns in place. For anything else Alembic's batch mode copies the table, and"
        " SQLite lets nobody else write to the database until that is done."
    ),
    remedy="Use `op.add_column`, `op.drop_column` and `op.alter_column(new_column_name=…)` outside of batch mode.",
    hint="Add, drop or rename columns without batch mode, which SQLite does in place.",
    check=check,
    bad="with op.batch_alter_table('messages') as batch:\n    batch.add_column(sa.Column('kind', sa.String(16)))",
    good="op.add_column('messages', sa.Column('kind', sa.String(16)))",
    engines=("sqlite",),
)
