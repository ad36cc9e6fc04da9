"""Trying again what failed for a while only: a deadlock, a lock that another holds, a connection that was cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from chatctl.errors import ConnectionLostError, RetryableError

#: How often something is tried before its error counts; each try waits longer.
TRIES = 8

T = TypeVar("T")


def retrying(still_halving: Callable[[], bool] = lambda: False) -> Retrying:
    """The attempts, with growing pauses between them; the last error is raised as it was.

    While `still_halving` says so, another try is another, smaller piece of work: then there is no last one.
    """
    enough = stop_after_attempt(TRIES)
    return Retrying(
        retry=retry_if_exception_type((RetryableError, ConnectionLostError)),
        wait=wait_random_exponential(multiplier=0.1, max=10),
        stop=lambda state: enough(state) and not _halves(state, still_halving),
        reraise=True,
    )


def _halves(state: RetryCallState, still_halving: Callable[[], bool]) -> bool:
    failed = state.outcome.exception() if state.outcome else None
    return isinstance(failed, RetryableError) and still_halving()


def patiently(action: Callable[[], T]) -> T:
    """What `action` returns, which may be tried several times: each try must be whole by itself."""
    return retrying()(action)
