"""What the backup services are handed, and the names of a backup's files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from chatctl.domain.counters import IssuedIds
from chatctl.domain.progress import Progress
from chatctl.services.counters.evidence import CensusTaker
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.redis.records import KeyRecord, Loaded
from chatctl.stores.repository import Repository
from chatctl.stores.sql.high_water import SqlHighWater

#: Below this lies what the engine's dump driver wrote.
SQL = "sql"
REDIS_FILE = "redis.jsonl.zst"
ENVIRONMENT_FILE = "environment.json"


class Snapshot(Protocol):
    """Every key of Redis, out and in."""

    def version(self) -> str:
        """The server's version."""

    def records(self) -> Iterator[KeyRecord]:
        """Every key."""

    def counted(self) -> dict[int, int]:
        """The keys in each database."""

    def occupied(self) -> bool:
        """Whether there is any key, which a restore may replace."""

    def clear(self) -> None:
        """Removes what a restore replaces."""

    def load(self, records: Iterator[KeyRecord], *, replace: bool) -> Loaded:
        """Puts keys back, counters left out."""

    def writes_paused(self, milliseconds: int | None) -> AbstractContextManager[Callable[[], bool]]:
        """Holds back writes while the block runs, for at most so long; tells whether they still are."""


class RedisSide(CensusTaker, Protocol):
    """Redis, as far as backups need it."""

    @property
    def where(self) -> str:
        """Where it is, for messages."""

    @property
    def clustered(self) -> bool:
        """Whether keys are named as on a cluster."""

    @property
    def snapshot(self) -> Snapshot:
        """Its keys."""


@dataclass(frozen=True)
class System:
    """One system to back up or to restore into. `redis` is None where it has none, or where it is left out."""

    context: str
    target: MigrationTarget
    redis: RedisSide | None
    high_water: SqlHighWater
    archives: Sequence[IssuedIds]
    environment: Mapping[str, Any]


@dataclass(frozen=True)
class Work:
    """Where backups are, and who watches."""

    repository: Repository
    progress: Progress
