"""How much load a run may add to: the limits alone. What measures them is in `batches/throttle.py`."""

from __future__ import annotations

from dataclasses import dataclass

from chatctl.stores.sql.database import Database

#: What a replica may be behind where nobody says.
LAG_SECONDS = 10


@dataclass(frozen=True)
class Thresholds:
    """None means no limit. `replica` holds a copy of the journal that is at most `lag_seconds` (LAG_SECONDS where
    nobody says) old.
    """

    replica: Database | None = None
    lag_seconds: int | None = None
    running: int | None = None
    statement_ms: int | None = None
