"""Issues session numbers. Two sessions with one number are two users in one conversation: this is what forbids it.

A number is issued once two places agree. Redis counts: one script counts, writes the record where there is none and
indexes it. SQL remembers: the number is marked under the *fence* that it was counted under, and only then handed
out. Redis may lose what it had (a key deleted, set back or evicted, a restart without its last second, a lagging
replica promoted). So the script counts only while its guard was put up in this very life of the server; otherwise
the scope is taken over: under the lock of the mark's row, a new fence is put up above every number that SQL has
marked and every one that Redis still shows. Marks under the old fence are refused from then on, so whoever counted
on the lost server counts again. Nothing depends on timing.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Protocol

from chatctl.domain.counters import Answer, Attempt, Draft, HighWater, IssuedIds, Raised
from chatctl.domain.session_ids import MAX_NUMBER, Scope, SessionId
from chatctl.errors import IntegrityError, RetryableError
from chatctl.observe.fail_points import fail_point

#: Attempts for one session. Each failed one means that somebody else changed the scope in between.
MAX_ATTEMPTS = 100


class Counters(Protocol):
    """The counters in Redis, as far as issuing needs them."""

    def create(self, draft: Draft) -> Attempt:
        """Tries once to create the session; repeating it with the same request creates nothing more."""

    def counted(self, scope: Scope, fence: str) -> int | None:
        """The highest number counted under `fence`, None where it doesn't stand in this life of the server."""

    def take_over(self, scope: Scope, fence: str, issued: int) -> int | None:
        """Puts a fence up above everything known; the number it stands at, None where the counter is no count."""

    def raise_to(self, scope: Scope, number: int) -> Raised | None:
        """Raises the counter, never lowers it."""

    def highest_in_redis(self, scope: Scope) -> int:
        """The highest number that anything in Redis bears."""


class Issuer:
    """Creates sessions with numbers that were never issued before.

    `archives` are the places beside Redis that hold sessions by ID.
    """

    def __init__(self, counters: Counters, high_water: HighWater, archives: Sequence[IssuedIds] = ()) -> None:
        self._counters = counters
        self._high_water = high_water
        self._archives = archives

    def create(self, draft: Draft) -> SessionId:
        """Creates the session and returns its ID, once that is durable.

        Raises IntegrityError where the counter's value is no count or has reached its end.
        """
        for _ in range(MAX_ATTEMPTS):
            attempt = self._counters.create(draft)
            if attempt.answer is Answer.CREATED:
                fail_point("session.counted")
                if self._mark(draft.scope, attempt):
                    fail_point("session.marked")
                    return draft.scope.id(attempt.number)
                self._take_over(draft.scope)
            elif attempt.answer is Answer.UNFENCED:
                self._take_over(draft.scope)
            elif attempt.answer is Answer.TAKEN:
                self._raise_above(draft.scope, attempt.number)
            else:
                raise _unusable(draft.scope, attempt)
        raise RetryableError(f"The counter of {draft.scope.name} changed under {MAX_ATTEMPTS} attempts in a row.")

    def _mark(self, scope: Scope, attempt: Attempt) -> bool:
        def counted() -> int:
            return self._counters.counted(scope, attempt.fence) or 0

        return self._high_water.mark(scope, attempt.number, attempt.fence, counted)

    def _take_over(self, scope: Scope) -> None:
        archived = self._archived(scope)
        with self._high_water.turn(scope) as turn:
            if turn.fence and self._counters.counted(scope, turn.fence) is not None:
                return  # somebody else has just done it
            fence = uuid.uuid4().hex
            # Within the turn: of many who find the fence down one looks through Redis, not each of them. What leaves
            # it for an archive is marked first, and waits for the turn to end.
            known = max(turn.issued, archived, self._counters.highest_in_redis(scope))
            number = self._counters.take_over(scope, fence, known)
            if number is None:
                raise _unusable(scope)
            fail_point("session.fenced")
            turn.take(fence, number)

    def _raise_above(self, scope: Scope, taken: int) -> None:
        """A record with the next number is there already: the counter fell behind what others issued."""
        known = max(self._archived(scope), self._counters.highest_in_redis(scope))
        highest = max(taken, known, self._high_water.issued().get(scope.name, 0))
        if self._counters.raise_to(scope, highest) is None:
            raise _unusable(scope)

    def _archived(self, scope: Scope) -> int:
        return max((archive.highest(scope) for archive in self._archives), default=0)


def _unusable(scope: Scope, attempt: Attempt | None = None) -> IntegrityError:
    if attempt is not None and attempt.answer is Answer.OVERFLOW:
        return IntegrityError(
            f"The counter of {scope.name} has reached {MAX_NUMBER}, its end.", hint="No session can be added to it."
        )
    value = f" '{attempt.obstacle[:40]}'" if attempt is not None and attempt.obstacle else ""
    return IntegrityError(
        f"The counter of {scope.name} holds no number{value}, so nothing can be counted by it.",
        hint="chatctl counters check shows it; chatctl counters repair SCOPE --to N replaces it.",
    )
