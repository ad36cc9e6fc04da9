"""Retention: which conversations may go, and when. Standard library only; nothing here reads or deletes.

A conversation goes when its last access lies strictly before its policy's cutoff. Of several rules that fit it the
longest counts; a rule that fits replaces the default; nothing undercuts the minimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from chatctl.errors import UsageError

#: What a rule can be about.
Subject = Literal["account", "project", "chat_type"]
#: What a hold can be on.
HoldKind = Literal["chat", "user", "account", "project"]

ARCHIVES = ("file", "table", "none")

#: A purge of at least this many conversations that would take more than half of all is asked about first.
GUARDED_CONVERSATIONS = 1_000
GUARDED_SHARE = 0.5
#: How far the host's clock and the database's may lie apart.
CLOCK_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True)
class Policy:
    """How long conversations are kept: those of one account, project or type, or (the default) all others."""

    name: str
    retention: timedelta
    subject: Subject | None = None
    value: str | None = None

    def cutoff(self, now: datetime) -> datetime:
        """What was last accessed strictly before this instant may go. `now` is aware; the result has milliseconds."""
        moment = now - self.retention
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    @property
    def retention_days(self) -> int | float:
        """The retention in days; whole ones are whole numbers."""
        days = self.retention / timedelta(days=1)
        return int(days) if days == int(days) else days


@dataclass(frozen=True)
class Retention:
    """Every policy of a context. `minimum` is what no rule undercuts."""

    default: timedelta
    minimum: timedelta = timedelta(0)
    rules: tuple[tuple[Subject, str, timedelta], ...] = ()

    def __post_init__(self) -> None:
        for retention in (self.default, *(rule[2] for rule in self.rules)):
            if retention <= timedelta(0):
                raise UsageError("A retention of 0 days would delete everything: it has to be longer.")

    @classmethod
    def of_days(cls, default: int, minimum: int = 0, **rules: Mapping[str, int]) -> Retention:
        """Reads days: the default, the minimum, and `account=`, `project=`, `chat_type=` → {value: days}."""
        subjects: tuple[Subject, ...] = ("account", "project", "chat_type")
        listed = [
            (subject, value, timedelta(days=days))
            for subject in subjects
            for value, days in sorted(rules.get(subject, {}).items())
        ]
        return cls(timedelta(days=default), timedelta(days=minimum), tuple(listed))

    def with_default(self, default: timedelta) -> Retention:
        """The same rules with another default, as `--older-than` asks for it."""
        return Retention(default, self.minimum, self.rules)

    @property
    def undercuts(self) -> bool:
        """Whether something asked for less than the minimum, which then counts."""
        return any(retention < self.minimum for retention in (self.default, *(rule[2] for rule in self.rules)))

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The default, then the rules."""
        rules = [
            Policy(f"{subject} {value}", max(retention, self.minimum), subject, value)
            for subject, value, retention in self.rules
        ]
        return (Policy("default", max(self.default, self.minimum)), *rules)

    @property
    def shortest(self) -> timedelta:
        """The shortest retention: whatever was accessed within it stays."""
        return min(policy.retention for policy in self.policies)

    @property
    def longest(self) -> timedelta:
        """The longest retention."""
        return max(policy.retention for policy in self.policies)

    def policy_for(self, **values: str | None) -> Policy:
        """The policy of a conversation with this `account=`, `project=` and `chat_type=`."""
        default, *rules = self.policies
        fitting = [rule for rule in rules if rule.subject and values.get(rule.subject) == rule.value]
        return max(fitting, key=lambda rule: rule.retention, default=default)

    def expired(self, accessed: datetime | None, now: datetime, **values: str | None) -> bool:
        """Whether a conversation last accessed then may go: never where nobody knows when, or it lies ahead."""
        return accessed is not None and accessed < self.policy_for(**values).cutoff(now)


@dataclass(frozen=True)
class Hold:
    """A conversation, or all of a user, account or project, that no purge may touch. Times are epoch milliseconds."""

    id: str
    kind: HoldKind
    value: str
    reason: str
    author: str
    created_ms: int
    expires_ms: int | None = None
    released_ms: int | None = None
    released_by: str | None = None

    def holds_at(self, now_ms: int) -> bool:
        """Whether it protects anything at that time."""
        return self.released_ms is None and (self.expires_ms is None or self.expires_ms > now_ms)


@dataclass(frozen=True)
class Holds:
    """The holds in force, as values by what they are on."""

    values: Mapping[HoldKind, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, holds: Sequence[Hold]) -> Holds:
        """The values of `holds`, all of which are in force."""
        kinds = dict.fromkeys(hold.kind for hold in holds)
        return cls({kind: frozenset(hold.value for hold in holds if hold.kind == kind) for kind in kinds})

    def __bool__(self) -> bool:
        return bool(self.values)

    def protect(self, **values: str | None) -> bool:
        """Whether a conversation with this `chat=`, `user=`, `account=` or `project=` is held."""
        return any(values.get(kind) in held for kind, held in self.values.items())


def guard_reasons(going: int, total: int, host_ahead: timedelta) -> list[str]:
    """Why somebody should look before this purge takes so many; empty where nothing is unusual."""
    reasons = []
    if total >= GUARDED_CONVERSATIONS and going > total * GUARDED_SHARE:
        reasons.append(f"It would take {going:,} of {total:,} conversations, more than half.")
    if abs(host_ahead) > CLOCK_TOLERANCE:
        seconds = abs(host_ahead).total_seconds()
        side = "ahead of" if host_ahead > timedelta(0) else "behind"
        reasons.append(f"This host's clock is {seconds:,.0f} s {side} the database's.")
    return reasons


def backlog_grows(backlogs: Sequence[int]) -> bool:
    """Whether what was left over grew from run to run over the last three runs; oldest first."""
    last = list(backlogs)[-3:]
    return len(last) == 3 and all(before < after for before, after in pairwise(last))
