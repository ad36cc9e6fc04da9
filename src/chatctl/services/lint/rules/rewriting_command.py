"""rewriting-command: a command of PostgreSQL that writes a whole table anew while nobody may read it."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.ddl import TableOption
from chatctl.services.lint.findings import Severity
from chatctl.services.lint.rules.base import COPIES, Rule

_COMMANDS = ("VACUUM FULL", "CLUSTER", "SET UNLOGGED")


def check(change: Change) -> Iterator[Complaint]:
    """VACUUM FULL, CLUSTER, SET LOGGED and SET UNLOGGED."""
    for option in change.actions(TableOption):
        # A table that is known is logged already: an unlogged one is never read into the catalog.
        if option.name in _COMMANDS or (option.name == "SET LOGGED" and change.table is None):
            yield Complaint(f"{option.name} rewrites the table, and nobody may read or write it meanwhile.", COPIES)


RULE = Rule(
    name="rewriting-command",
    severity=Severity.ERROR,
    title="A command rewrites the whole table",
    problem="VACUUM FULL, CLUSTER and SET LOGGED hold the strongest lock there is until every row is written anew.",
    remedy="Let autovacuum do its work, or use a tool that repacks a table while it is in use.",
    hint="Leave it to autovacuum, or to a tool that repacks tables in use.",
    check=check,
    bad="VACUUM FULL messages;",
    good="VACUUM messages;",
    engines=("postgresql",),
)
