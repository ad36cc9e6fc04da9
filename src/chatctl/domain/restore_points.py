"""A restore point: what the journal knows of the moment in which a run began. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: Where a run's totals hold it.
KEY = "restore_point"


@dataclass(frozen=True)
class RestorePoint:
    """`at` is the database's clock (aware, UTC), `backup` the ID of the backup that was taken first.

    A migration also says which `revision` the database had (None: none) and its `schema` as a snapshot.
    """

    at: datetime
    backup: str | None = None
    revision: str | None = None
    schema: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """For a run's totals, under `KEY`."""
        return {
            "at": self.at.astimezone(UTC).isoformat(),
            "backup": self.backup,
            "revision": self.revision,
            "schema": dict(self.schema) if self.schema is not None else None,
        }

    @classmethod
    def of(cls, totals: Mapping[str, Any]) -> RestorePoint | None:
        """The one that a run's totals hold, if it has any."""
        raw = totals.get(KEY)
        if not isinstance(raw, Mapping):
            return None
        return cls(datetime.fromisoformat(raw["at"]), raw["backup"], raw["revision"], raw["schema"])
