"""What a linter finds, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """Errors fail a lint; warnings do so only where it is strict."""

    ERROR = "error"
    WARNING = "warning"


class Harm(StrEnum):
    """What a statement does to those who use its table; each can be seen on a server."""

    #: Every row is written anew, which takes time, disk space and replication with the table's size.
    REWRITES = "rewrites"
    #: Writes wait for as long as the work on the whole table takes.
    BLOCKS = "blocks"
    #: What the application sent before the change is refused after it.
    BREAKS = "breaks"


@dataclass(frozen=True)
class Finding:
    """One finding: which rule, how bad, where (`file:line`, or a file alone), what is wrong, what to do.

    `fix` is SQL or code to write instead, where the rule knows it.
    """

    rule: str
    severity: Severity
    where: str
    message: str
    hint: str | None = None
    fix: str | None = None
    harms: frozenset[Harm] = frozenset()

    def as_json(self) -> dict[str, Any]:
        """With the keys that the command contract fixes."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "where": self.where,
            "message": self.message,
            "hint": self.hint,
            "fix": self.fix,
        }

    def of_statement(self) -> dict[str, Any]:
        """The same beside the statement that it is about, which is place enough."""
        return {key: value for key, value in self.as_json().items() if key not in ("where", "fix")}
