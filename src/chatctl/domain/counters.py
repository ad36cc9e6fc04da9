"""What counters are and how they can be wrong: values only. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from chatctl.domain.session_ids import MAX_NUMBER, Scope, SessionId

#: From here on a counter is called near its end: nine tenths of the way.
NEAR_OVERFLOW = MAX_NUMBER // 10 * 9


class CounterState(Enum):
    """How a counter stands against the highest ID that was issued."""

    OK = "ok"
    BEHIND = "behind"
    MISSING = "missing"
    INVALID = "invalid"
    VOLATILE = "volatile"


@dataclass(frozen=True)
class CounterReading:
    """A counter as Redis holds it.

    `value` is None where there is none. `ttl_seconds` is None where it never expires; `guarded` is the number
    that chatctl counted to last, if it counts here.
    """

    scope: Scope
    key: str
    value: str | None
    kind: str = "string"
    ttl_seconds: int | None = None
    guarded: int | None = None

    @property
    def number(self) -> int | None:
        """The value as a count, or None where it is none."""
        text = self.value or ""
        canonical = text == "0" or (text.isascii() and text.isdecimal() and not text.startswith("0"))
        if self.kind != "string" or not canonical or len(text) > len(str(MAX_NUMBER)):
            return None
        return number if (number := int(text)) <= MAX_NUMBER else None

    def state(self, highest: int) -> CounterState:
        """How it stands where `highest` is the highest number issued (0: none)."""
        if self.value is None and self.kind == "none":
            return CounterState.MISSING
        if self.number is None:
            return CounterState.INVALID
        if self.number < highest:
            return CounterState.BEHIND
        return CounterState.OK if self.ttl_seconds is None else CounterState.VOLATILE


class Answer(Enum):
    """What came of an attempt to create a session."""

    CREATED = "created"
    UNFENCED = "unfenced"
    TAKEN = "taken"
    INVALID = "invalid"
    OVERFLOW = "overflow"


@dataclass(frozen=True)
class Attempt:
    """The outcome of one attempt: the number counted to and the fence it was counted under, or what was in the way."""

    answer: Answer
    number: int = 0
    fence: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class Draft:
    """A session to be created, all but its ID.

    `record` are the fields of its metadata, in order; `request` makes repeating the attempt harmless.
    """

    scope: Scope
    user: str
    record: Mapping[str, Any]
    request: str


@dataclass(frozen=True)
class Raised:
    """A counter after an attempt to raise it: `before` is None where there was none."""

    before: str | None
    after: str
    changed: bool


class HighWaterTurn(Protocol):
    """The right to decide alone about one counter, until the turn ends."""

    @property
    def issued(self) -> int:
        """The highest number known to have been issued."""

    @property
    def fence(self) -> str:
        """Who may count: numbers counted under any other fence are void."""

    def take(self, fence: str, issued: int) -> None:
        """From now on `fence` counts, above `issued`."""


class HighWater(Protocol):
    """The durable record of the highest number issued in each scope, outside Redis.

    A number counts as issued once `mark` has said yes. Whoever takes a counter over, because Redis came back
    with less than it had, takes a turn: every mark under an earlier fence is refused from then on, and all that
    were accepted before are in `issued`.
    """

    def mark(self, scope: Scope, number: int, fence: str, counted: Callable[[], int]) -> bool:
        """Records that `number` is issued; False where `fence` no longer counts.

        `counted` tells the highest number counted under `fence` so far; marking all of them at once is as good.
        """

    def turn(self, scope: Scope) -> AbstractContextManager[HighWaterTurn]:
        """The turn of deciding about `scope`; one at a time, over all processes and machines."""

    def issued(self) -> dict[str, int]:
        """The highest number issued, by scope name."""

    def observe(self, found: Mapping[str, int]) -> None:
        """Raises the record to numbers that were found issued, by scope name."""


class IssuedIds(Protocol):
    """A place that holds sessions by ID, beside Redis."""

    def highest(self, scope: Scope) -> int:
        """The highest number of `scope` that it holds; 0 where there is none."""

    def session_ids(self) -> Iterator[SessionId]:
        """Every numbered ID that it holds."""
