"""Which conversations may go, as SQL: the policy, the command's own limits, holds and exemptions of the layout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chatctl.domain.predicates import Comparison
from chatctl.domain.retention import CLOCK_TOLERANCE, HoldKind, Holds, Policy, Retention, Subject
from chatctl.errors import IntegrityError, UsageError
from chatctl.stores.sql.dialects import Dialect
from chatctl.stores.sql.purge.conversations import Conversations, typed

_KINDS: tuple[HoldKind, ...] = ("chat", "user", "account", "project")


@dataclass(frozen=True)
class Selection:
    """What one purge is about. `now` is aware; a conversation written to after `since` stays, whatever its clock says.

    With `everything` the clock isn't asked at all: an erasure.
    """

    retention: Retention
    now: datetime
    since: datetime
    account: str | None = None
    user: str | None = None
    everything: bool = False


class Eligibility:
    """`selection` on `conversations`. Raises MissingEntityError where a rule is about what the layout doesn't tell."""

    def __init__(self, conversations: Conversations, selection: Selection, dialect: Dialect) -> None:
        self._on = conversations
        self._selection = selection
        self._dialect = dialect
        for policy in selection.retention.policies:
            if policy.subject is not None:
                conversations.subject(policy.subject)

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """Rows that may go; holds and restored ones are not looked at."""
        if self._selection.everything:
            return self.scope
        return sa.and_(self.by_own_row, sa.not_(self._on.written_since(self._selection.since)))

    @property
    def by_own_row(self) -> sa.ColumnElement[bool]:
        """Rows that may go as far as they tell themselves: cheap, and enough to choose by where all is asked again."""
        return self.scope if self._selection.everything else sa.and_(self.expired, sa.not_(self.exempt))

    @property
    def scope(self) -> sa.ColumnElement[bool]:
        """The conversations that the purge is about at all."""
        chosen: list[sa.ColumnElement[bool]] = []
        if self._selection.account is not None:
            column = self._on.subject("account")
            chosen.append(column == typed(column, self._selection.account))
        if self._selection.user is not None:
            chosen.append(self._on.of_user(self._selection.user))
        return sa.and_(sa.true(), *chosen)

    @property
    def expired(self) -> sa.ColumnElement[bool]:
        """Those whose clock lies before their policy's cutoff. A range on the clock stands first, for an index."""
        retention, now = self._selection.retention, self._selection.now
        default, *rules = retention.policies
        earliest = self._before(min(retention.policies, key=lambda policy: policy.retention))
        if not rules:
            return sa.and_(earliest, self.scope)
        fits = [self._fits(policy) for policy in rules]
        by_rule = [sa.or_(sa.not_(fit), self._before(rule)) for fit, rule in zip(fits, rules, strict=True)]
        by_default = sa.or_(*fits, self._before(default))
        assert now.tzinfo is not None
        return sa.and_(earliest, *by_rule, by_default, self.scope)

    @property
    def exempt(self) -> sa.ColumnElement[bool]:
        """Those that the layout exempts."""
        terms = [sa.and_(*(self._compared(item) for item in term)) for term in self._on.rule.exemption]
        return sa.or_(sa.false(), *terms)

    def held(self, holds: Holds) -> sa.ColumnElement[bool]:
        """Those that are held. Raises IntegrityError for a hold on what the conversations don't tell."""
        found: list[sa.ColumnElement[bool]] = []
        for kind in _KINDS:
            if values := holds.values.get(kind):
                found.append(self._held(kind, values))
        return sa.or_(sa.false(), *found)

    @property
    def without_clock(self) -> sa.ColumnElement[bool]:
        """Those whose clock is null."""
        return self._on.clock.is_(None)

    @property
    def ahead(self) -> sa.ColumnElement[bool]:
        """Those whose clock is in the future, or no instant at all: they never go."""
        clock = self._on.clock
        past = self._dialect.older_than(clock, self._selection.now + CLOCK_TOLERANCE)
        return sa.and_(clock.is_not(None), sa.not_(sa.func.coalesce(past, sa.false())))

    def _before(self, policy: Policy) -> sa.ColumnElement[bool]:
        return self._dialect.older_than(self._on.clock, policy.cutoff(self._selection.now))

    def _fits(self, policy: Policy) -> sa.ColumnElement[bool]:
        assert policy.subject is not None
        column = self._subject(policy.subject)
        # A null must come out as "doesn't fit", not as unknown.
        return sa.and_(column.is_not(None), column == typed(column, policy.value or ""))

    def _subject(self, subject: Subject) -> sa.Column[Any]:
        return self._on.subject(subject)

    def _compared(self, comparison: Comparison) -> sa.ColumnElement[bool]:
        column = self._on.what.table.c[comparison.column]
        if comparison.value is None:
            return column.is_(None) if comparison.operator == "=" else column.is_not(None)
        equal = sa.and_(column.is_not(None), column == comparison.value)
        return equal if comparison.operator == "=" else sa.not_(equal)

    def _held(self, kind: HoldKind, values: frozenset[str]) -> sa.ColumnElement[bool]:
        column = self._on.held_column(kind)
        if column is None and kind == "user":
            return sa.or_(*(self._on.of_user(value) for value in sorted(values)))
        if column is None:
            raise IntegrityError(
                f"There is a hold on a {kind}, but '{self._on.what.key}' tells no {kind}: what does it protect?",
                hint="chatctl purge hold list shows it.",
            )
        try:
            wanted = [typed(column, value) for value in sorted(values)]
        except UsageError as problem:
            raise IntegrityError(
                f"A hold on a {kind} names what can't be one: {problem}", hint="chatctl purge hold list shows it."
            ) from None
        return sa.and_(column.is_not(None), column.in_(wanted))
