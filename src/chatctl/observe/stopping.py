"""Turns SIGINT and SIGTERM into a stop that finishes its batch first."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from chatctl.domain.progress import StopSignal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(stop: StopSignal, announce: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, the first SIGINT or SIGTERM requests `stop`, the second raises KeyboardInterrupt.

    `announce` is told, in a sentence, what the first one did; it runs inside the signal handler. The handlers that
    stood before come back at the end.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        announce(f"{signal.Signals(number).name}: finishing the batch in hand; once more stops at once.")

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupt_on_termination() -> Iterator[None]:
    """While the block runs, SIGTERM raises KeyboardInterrupt, so that connections are closed on the way out."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
