"""What a rule is made of: its name, its page of the docs, and its check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chatctl.services.lint.change import Change, Complaint
from chatctl.services.lint.findings import Harm, Severity

Check = Callable[[Change], Iterator[Complaint]]

COPIES = frozenset({Harm.REWRITES, Harm.BLOCKS})
BREAKS = frozenset({Harm.BREAKS})


@dataclass(frozen=True)
class Rule:
    """A rule for SQL. The texts are Markdown; `hint` is one sentence, shown with each finding.

    `bad` and `good` are SQL; `last` marks a rule that looks at what the others said.
    """

    name: str
    severity: Severity
    title: str
    problem: str
    remedy: str
    hint: str
    check: Check
    bad: str
    good: str
    engines: tuple[str, ...] = ("mariadb", "mysql")
    last: bool = False
