"""Keys of Redis as they are carried about. Loads no driver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyRecord:
    """One key: its database, its name, when it expires (epoch milliseconds, None: never), and what DUMP answered."""

    db: int
    key: str
    expires_ms: int | None
    value: bytes


@dataclass
class Loaded:
    """What became of the records: put back, there twice in the backup, or expired since it was taken."""

    restored: int = 0
    repeated: int = 0
    expired: int = 0
