"""What a long piece of work and its caller say to each other: how far it is, and that it shall stop.

A service is handed both and knows neither terminals nor signals. Standard library only.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told how far a piece of work is; draws, logs or ignores it."""

    def start(self, total: int | None, unit: str) -> None:
        """The work begins: `total` units (None: not known), named in the plural ("rows", "statements")."""

    def advance(self, count: int) -> None:
        """`count` more units are done."""

    def state(self, text: str) -> None:
        """How the work is going just now, in a few words beside the figures: "batches of 5,000", "waiting"."""

    def note(self, text: str) -> None:
        """Something worth a line of its own happened."""

    def finish(self) -> None:
        """The work is over, however it came out. Safe to call twice."""


class SilentProgress:
    """A `Progress` that tells nobody."""

    def start(self, total: int | None, unit: str) -> None:
        """Nothing to show."""

    def advance(self, count: int) -> None:
        """Nothing to show."""

    def state(self, text: str) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""

    def finish(self) -> None:
        """Nothing to show."""


class StopSignal:
    """Asked for once, polled between batches: the work ends after the batch in hand."""

    def __init__(self) -> None:
        self._requested = False

    @property
    def requested(self) -> bool:
        """Whether somebody asked for the work to stop."""
        return self._requested

    def request(self) -> None:
        """Asks for the work to stop. Safe in a signal handler."""
        self._requested = True
