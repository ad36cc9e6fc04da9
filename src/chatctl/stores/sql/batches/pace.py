"""How large the next batch is: towards a target time, halved on trouble, growing back slowly."""

from __future__ import annotations


class Pace:
    """The batch size of one worker.

    `target_ms` is how long a batch should take; `fixed` sets the size for good (as `--batch-size` does).
    """

    def __init__(
        self, *, start: int = 1_000, target_ms: int = 500, largest: int = 100_000, fixed: int | None = None
    ) -> None:
        self._fixed = fixed
        self._target_ms = target_ms
        self._largest = largest
        self._size = float(fixed or start)

    @property
    def size(self) -> int:
        """How many rows the next batch should take, at least 1."""
        return max(1, int(self._size))

    def went_well(self, rows: int, milliseconds: int) -> None:
        """Moves the size towards the target time or back to the fixed one, by at most 1.5 times up and 2 down."""
        if self._fixed:
            self._size = min(self._fixed, self._size * 1.5)
            return
        if rows < self.size // 2:
            return
        wanted = self._size * self._target_ms / max(1, milliseconds)
        self._size = min(self._largest, max(1.0, self._size / 2, min(wanted, self._size * 1.5)))

    def failed(self) -> None:
        """Halves the size, fixed or not: a batch that fails must get smaller to pass."""
        self._size = max(1.0, self._size / 2)
