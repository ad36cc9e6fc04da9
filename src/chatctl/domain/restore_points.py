"""A restore point: what the journal knows of the moment in which a run began. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: Where a run's totals hold it.
KEY = "restore_point"


@dataclass(frozen=True)
class RestorePoint:
    """`at` is the database's clock (aware, UTC), `backup` the ID of the backup that was taken first.

    A migration also says which `revision` the database had (None: none) and its `schema` as a snapshot. `sizes` are the
    rows and bytes of each table of the application, as far as the server's own statistics know them.
    """

    at: datetime
    backup: str | None = None
    revision: str | None = None
    schema: Mapping[str, str] | None = None
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For a run's totals, under `KEY`."""
        return {
            "at": self.at.astimezone(UTC).isoformat(),
            "backup": self.backup,
            "revision": self.revision,
            "schema": dict(self.schema) if self.schema is not None else None,
            "sizes": {table: list(size) for table, size in self.sizes.items()},
        }

    @classmethod
    def of(cls, totals: Mapping[str, Any]) -> RestorePoint | None:
        """The one that a run's totals hold, if it has any."""
        raw = totals.get(KEY)
        if not isinstance(raw, Mapping):
            return None
        sizes = {table: (rows, size) for table, (rows, size) in raw.get("sizes", {}).items()}
        return cls(datetime.fromisoformat(raw["at"]), raw["backup"], raw["revision"], raw["schema"], sizes)
