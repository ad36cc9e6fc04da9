"""What a purge works on, and what it was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from chatctl.domain.retention import ARCHIVES, Retention
from chatctl.errors import CannotConnectError, UsageError
from chatctl.layouts.model import Layout
from chatctl.services.purge.sessions import Sessions
from chatctl.stores.archive_folder import ArchiveFolder
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.high_water import SqlHighWater
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.purge.archives import Archives, Place
from chatctl.stores.sql.purge.conversations import Conversations
from chatctl.stores.sql.purge.eligibility import Selection
from chatctl.stores.sql.purge.holds import HoldStore
from chatctl.stores.sql.purge.work import Tools

#: The lock under which rows are purged, restored and erased.
PURGE_LOCK = "purge"

ArchiveKind = Literal["file", "table", "none"]


class UserTraces(Protocol):
    """What users leave in Redis beside their sessions."""

    def erase(self, user: str) -> int:
        """Deletes what bears the user's ID; how many keys were touched."""


@dataclass(frozen=True)
class PurgeTarget:
    """A database, the layout that it is read by, its journal, its archives, and the policy of its context.

    `sessions` are those in Redis, where there are any, and `traces` what users leave there beside them. `clock` tells
    the time (aware), so that a test can; the database's own where it is None.
    """

    database: Database
    layout: Layout
    journal: Journal
    folder: ArchiveFolder
    retention: Retention
    archive: ArchiveKind = "file"
    sessions: Sessions | None = None
    traces: UserTraces | None = None
    clock: Callable[[], datetime] | None = None

    def now(self, connection: sa.Connection) -> datetime:
        """The time that ages are measured at, in whole milliseconds."""
        moment = self.clock() if self.clock else self.database.dialect.now(connection).astimezone(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def host_ahead(self, connection: sa.Connection) -> timedelta:
        """How far this host's clock is ahead of the database's."""
        return datetime.now(UTC) - self.database.dialect.now(connection)

    def conversations(self, connection: sa.Connection) -> Conversations:
        """The layout's conversations as they are in the database. Raises MissingEntityError, LayoutError."""
        return Conversations(self.layout, connection)

    @property
    def holds(self) -> HoldStore:
        """What no purge may touch."""
        return HoldStore(self.journal)

    @property
    def archives(self) -> Archives:
        """Where purged conversations are."""
        return Archives(self.journal, self.folder)

    @property
    def tools(self) -> Tools:
        """What the deleting batch works with."""
        return Tools(self.database.dialect, self.holds, self.archives, SqlHighWater(self.database, self.journal))

    def require_database(self) -> None:
        """Raises CannotConnectError where the database is a file that isn't there."""
        if not self.database.exists:
            raise CannotConnectError(f"{self.database.where}: there is no such file.", hint="chatctl migrate makes it.")

    def prepare(self) -> None:
        """Makes chatctl's own tables where they aren't there."""
        self.journal.ensure()
        with self.database.begin() as connection:
            self.holds.prepare(connection)


@dataclass(frozen=True)
class PurgeRequest:
    """What was asked for beyond the policy.

    `older_than` takes the place of the default retention. `erase_user` erases all that there is of `user`.
    """

    account: str | None = None
    user: str | None = None
    older_than: timedelta | None = None
    archive: ArchiveKind | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError("--limit has to be at least 1.")
        if self.older_than is not None and self.older_than <= timedelta(0):
            raise UsageError("--older-than 0 would delete everything: it has to be longer.")
        if self.archive is not None and self.archive not in ARCHIVES:
            raise UsageError(f"There is no archive '{self.archive}'.", hint="It is file, table or none.")

    def retention(self, target: PurgeTarget) -> Retention:
        """The policy, with what was asked for in the place of its default."""
        return target.retention.with_default(self.older_than) if self.older_than else target.retention

    def place(self, target: PurgeTarget) -> Place | None:
        """Where conversations are archived; None for nowhere."""
        archive = self.archive or target.archive
        return None if archive == "none" else archive

    def selection(self, target: PurgeTarget, now: datetime, since: datetime) -> Selection:
        """What is selected at `now`; what was written to from `since` on stays."""
        return Selection(self.retention(target), now, since, self.account, self.user)

    def goes_beyond(self, retention_days: int, archive: str) -> bool:
        """Whether it takes more than a policy of so many days, or archives less: the policy is no consent to that."""
        shorter = self.older_than is not None and self.older_than < timedelta(days=retention_days)
        return shorter or (self.archive == "none" and archive != "none")

    def as_json(self) -> dict[str, Any]:
        """For the journal, where nobody's name shall be left behind: names are digests there."""
        return {
            "account": _digest(self.account),
            "user": _digest(self.user),
            "older_than_seconds": self.older_than.total_seconds() if self.older_than else None,
            "archive": self.archive,
            "limit": self.limit,
        }

    def for_plan(self) -> dict[str, Any]:
        """For a saved plan, from which `of_plan` reads it back."""
        return {**self.as_json(), "account": self.account, "user": self.user}

    @classmethod
    def of_plan(cls, saved: Mapping[str, Any]) -> PurgeRequest:
        """The request of a saved plan."""
        seconds = saved["older_than_seconds"]
        older_than = timedelta(seconds=seconds) if seconds else None
        return cls(saved["account"], saved["user"], older_than, saved["archive"], saved["limit"])


def _digest(name: str | None) -> str | None:
    return None if name is None else hashlib.sha256(name.encode()).hexdigest()
