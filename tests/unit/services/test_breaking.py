"""Circuit breakers: when they open, whom they let through, and when they close."""

from __future__ import annotations

import threading
import time

import pytest

from chatctl.errors import BreakerOpenError
from chatctl.services.breaking import Breaker, MemoryRows, circuit_breaker


def fail() -> None:
    raise RuntimeError("down")


def failing(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(RuntimeError):
            breaker.call(fail)


def test_three_failures_open_it_and_the_fourth_call_is_rejected() -> None:
    breaker = Breaker("external_api", failure_threshold=3)
    failing(breaker, 2)
    assert breaker.state == "CLOSED"
    failing(breaker, 1)
    assert breaker.state == "OPEN"
    with pytest.raises(BreakerOpenError, match="is open"):
        breaker.call(lambda: pytest.fail("it was called"))


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker = Breaker("x", failure_threshold=3)
    failing(breaker, 2)
    assert breaker.call(lambda: 1) == 1
    failing(breaker, 2)
    assert breaker.state == "CLOSED"


def test_two_successes_close_it_again() -> None:
    breaker = Breaker("x", failure_threshold=2, success_threshold=2, reset_seconds=0.1)
    failing(breaker, 2)
    time.sleep(0.11)
    breaker.call(lambda: 1)
    assert breaker.state == "HALF_OPEN"
    breaker.call(lambda: 1)
    assert breaker.state == "CLOSED"


def test_a_failed_probe_opens_it_again() -> None:
    breaker = Breaker("x", failure_threshold=2, reset_seconds=0.1)
    failing(breaker, 2)
    time.sleep(0.11)
    failing(breaker, 1)
    assert breaker.state == "OPEN"


def test_half_open_lets_exactly_one_probe_through_at_a_time() -> None:
    breaker = Breaker("x", failure_threshold=1, reset_seconds=0.05)
    failing(breaker, 1)
    time.sleep(0.06)
    probing, release, rejected = threading.Event(), threading.Event(), []

    def probe() -> None:
        probing.set()
        release.wait(5)

    thread = threading.Thread(target=breaker.call, args=(probe,))
    thread.start()
    assert probing.wait(5)
    for _ in range(20):
        with pytest.raises(BreakerOpenError):
            breaker.call(lambda: rejected.append(1))
    release.set()
    thread.join()
    assert rejected == []
    assert breaker.state == "CLOSED"


def test_a_fallback_answers_while_it_is_open() -> None:
    breaker = Breaker("x", failure_threshold=1, fallback=lambda: "instead")
    failing(breaker, 1)
    assert breaker.call(lambda: "real") == "instead"


def test_an_inner_breakers_opening_leaves_the_outer_one_closed() -> None:
    inner, outer = Breaker("inner", failure_threshold=1), Breaker("outer", failure_threshold=1)
    failing(inner, 1)
    for _ in range(3):
        with pytest.raises(BreakerOpenError, match="inner"):
            outer.call(lambda: inner.call(lambda: 1))
    assert outer.state == "CLOSED"


def test_two_breakers_of_one_name_share_their_state() -> None:
    rows = MemoryRows()
    first, second = (Breaker("x", rows, failure_threshold=2) for _ in range(2))
    failing(first, 1)
    failing(second, 1)
    assert (first.state, second.state) == ("OPEN", "OPEN")


def test_the_decorator_takes_a_call_that_lasts_too_long_for_a_failure() -> None:
    @circuit_breaker("slow", failure_threshold=1, timeout=0.05)
    def slow(seconds: float) -> str:
        time.sleep(seconds)
        return "done"

    assert slow(0) == "done"
    with pytest.raises(TimeoutError):
        slow(0.2)
    with pytest.raises(BreakerOpenError):
        slow(0)
