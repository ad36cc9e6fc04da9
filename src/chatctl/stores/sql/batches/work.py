"""What a kind of work brings to the batch mechanism."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa

#: Where a range stands: JSON values that only the work itself understands.
Position = dict[str, Any]


@dataclass(frozen=True)
class BatchOutcome:
    """What one batch did: how many rows, where the range stands now, and counts to add to the run's totals."""

    rows: int
    position: Position
    finished: bool
    counts: Mapping[str, int] = field(default_factory=dict)


class Work(Protocol):
    """One kind of work, as the batch runner drives it."""

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Does about `size` rows of work from `position` on, on `connection` and nothing else.

        Called again with the same position after a rollback, it must do the same work again.
        """

    def committed(self, position: Position) -> None:
        """Told after the batch that led to `position` is durable."""


@runtime_checkable
class SettingAside(Protocol):
    """Work that can go on without a row that the database refuses."""

    def set_aside(self, connection: sa.Connection, bounds: Position, position: Position, reason: str) -> BatchOutcome:
        """Notes the one row behind `position` with the `reason` it failed for, and goes past it."""
