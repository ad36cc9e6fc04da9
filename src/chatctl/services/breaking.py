"""Circuit breakers: what fails several times in a row is left alone for a while. The states are shared by rows.

pybreaker decides; here it gets its storage, a limit for each call, and one probe at a time while half open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

import pybreaker

from chatctl.errors import BreakerOpenError

T = TypeVar("T")

_NAMES = {pybreaker.STATE_CLOSED: "CLOSED", pybreaker.STATE_OPEN: "OPEN", pybreaker.STATE_HALF_OPEN: "HALF_OPEN"}
_STATES = {name: state for state, name in _NAMES.items()}


class Rows(Protocol):
    """Where states are kept."""

    def get(self, name: str) -> Mapping[str, Any]:
        """One breaker's row."""

    def set(self, name: str, **values: Any) -> None:
        """Changes a row."""

    def count_failure(self, name: str) -> None:
        """Adds a failure to a row."""


class MemoryRows:
    """States of this process alone, for layouts that have no table for them."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    def get(self, name: str) -> Mapping[str, Any]:
        """One breaker's row."""
        empty = {"name": name, "state": "CLOSED", "failure_count": 0, "last_failure_at": None, "next_attempt_at": None}
        return self._rows.setdefault(name, empty)

    def set(self, name: str, **values: Any) -> None:
        """Changes a row."""
        self._rows[name] = {**self.get(name), **values}

    def count_failure(self, name: str) -> None:
        """Adds a failure to a row."""
        self.set(name, failure_count=self.get(name)["failure_count"] + 1, last_failure_at=datetime.now(UTC))

    def all(self) -> list[dict[str, Any]]:
        """Every breaker, by name."""
        return [dict(self._rows[name]) for name in sorted(self._rows)]


class _Storage(pybreaker.CircuitBreakerStorage):
    """pybreaker's view of one row. Successes while half open are counted here: they are this process's own."""

    def __init__(self, name: str, rows: Rows, reset_seconds: float) -> None:
        super().__init__(name)
        self._rows = rows
        self._reset = timedelta(seconds=reset_seconds)
        self._successes = 0

    @property
    def state(self) -> str:
        """The state, in pybreaker's word."""
        return _STATES[self._rows.get(self.name)["state"]]

    @state.setter
    def state(self, state: str) -> None:
        self._rows.set(self.name, state=_NAMES[state])

    def increment_counter(self) -> None:
        """A failure more."""
        self._rows.count_failure(self.name)

    def reset_counter(self) -> None:
        """No failure any more; a row that says so already isn't written again."""
        if self.counter:
            self._rows.set(self.name, failure_count=0)

    def increment_success_counter(self) -> None:
        """A success more."""
        self._successes += 1

    def reset_success_counter(self) -> None:
        """No success yet."""
        self._successes = 0

    @property
    def counter(self) -> int:
        """Failures in a row."""
        return int(self._rows.get(self.name)["failure_count"])

    @property
    def success_counter(self) -> int:
        """Successes in a row while half open."""
        return self._successes

    @property
    def opened_at(self) -> datetime | None:
        """When it was opened; aware, UTC."""
        due = self._rows.get(self.name)["next_attempt_at"]
        return None if due is None else due - self._reset

    @opened_at.setter
    def opened_at(self, moment: datetime) -> None:
        self._rows.set(self.name, next_attempt_at=moment + self._reset)


class Breaker:
    """One breaker: `failure_threshold` failures in a row open it, after `reset_seconds` a call is let through as a
    probe, and `success_threshold` good ones in a row close it again.

    `fallback` answers while it is open; without one BreakerOpenError is raised.
    """

    def __init__(
        self,
        name: str,
        rows: Rows | None = None,
        *,
        failure_threshold: int = 3,
        success_threshold: int = 1,
        reset_seconds: float = 30.0,
        fallback: Callable[[], Any] | None = None,
    ) -> None:
        self.name = name
        self._storage = _Storage(name, rows or MemoryRows(), reset_seconds)
        self._limits = (failure_threshold, reset_seconds, success_threshold)
        self._fallback = fallback
        self._probing = threading.Lock()

    @property
    def state(self) -> str:
        """CLOSED, OPEN or HALF_OPEN."""
        return _NAMES[self._storage.state]

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises BreakerOpenError, or answers by the fallback, without calling it while open."""
        if self._storage.state == pybreaker.STATE_CLOSED:
            return self._guarded(work)
        if not self._probing.acquire(blocking=False):
            return cast(T, self._refuse())
        try:
            return self._guarded(work)
        finally:
            self._probing.release()

    def _guarded(self, work: Callable[[], T]) -> T:
        failures, reset_seconds, successes = self._limits
        # An object for each call: pybreaker holds its lock while the call lasts. What is shared is the storage.
        breaker = pybreaker.CircuitBreaker(
            fail_max=failures,
            reset_timeout=reset_seconds,
            success_threshold=successes,
            # A breaker inside this one that is open is no failure of what this one guards.
            exclude=[BreakerOpenError],
            state_storage=self._storage,
            name=self.name,
            throw_new_error_on_trip=False,
        )
        try:
            return breaker.call(work)
        except pybreaker.CircuitBreakerError:
            return cast(T, self._refuse())

    def _refuse(self) -> Any:
        if self._fallback is not None:
            return self._fallback()
        raise BreakerOpenError(f"Circuit breaker '{self.name}' is open.")


def circuit_breaker(
    name: str, failure_threshold: int = 3, timeout: float = 30.0, **limits: Any
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Guards a function by a breaker. `timeout` bounds one call, in seconds: one that takes longer is a failure."""
    from concurrent.futures import ThreadPoolExecutor

    breaker = Breaker(name, failure_threshold=failure_threshold, **limits)

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        pool = ThreadPoolExecutor(thread_name_prefix=f"breaker-{name}")

        @wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> T:
            return breaker.call(lambda: pool.submit(function, *args, **kwargs).result(timeout))

        return guarded

    return decorate
