"""A finding: something that is not as it must be, and what to do about it. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is. A note is worth knowing and fails no check."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One finding: the rule that it breaks, where, what it means, what to do (`fix` is a command, if there is one)."""

    rule: str
    severity: Severity
    where: str
    message: str
    hint: str | None = None
    fix: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding as it stands in an answer."""
        return {**asdict(self), "severity": str(self.severity)}


def any_fails(findings: Iterable[Finding]) -> bool:
    """Whether one of them is more than a note."""
    return any(finding.severity is not Severity.NOTE for finding in findings)
