"""What is asked of the permission source and what it may answer: values only. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Rule(StrEnum):
    """What decided a probe."""

    CACHED_GRANT = "cached_grant"
    GRANT_ROW = "grant_row"
    NO_GRANT_ROW = "no_grant_row"
    NO_CREDENTIALS = "no_credentials"


@dataclass(frozen=True)
class Project:
    """A project as the source names it."""

    id: str
    name: str | None


@dataclass(frozen=True)
class Step:
    """One thing that was looked at on the way to a decision, and what came of it."""

    step: str
    outcome: str


@dataclass(frozen=True)
class Decision:
    """The answer to one probe.

    `project` is spelt as the source spells it; `cache_age_seconds` is given where the cache decided.
    """

    user: str
    project: str
    allowed: bool
    rule: Rule
    reason: str
    project_name: str | None = None
    cache_age_seconds: float | None = None
    steps: tuple[Step, ...] = field(default=())

    @property
    def source(self) -> str:
        """`cache` or `database`."""
        return "cache" if self.rule is Rule.CACHED_GRANT else "database"


class PermissionSource(Protocol):
    """The database that knows projects and grants. Raises PermissionSourceError where it gives no answer."""

    @property
    def where(self) -> str:
        """Where it is, for messages."""

    @property
    def why_closed(self) -> str | None:
        """Why it can't be asked at all (credentials are missing), or None."""

    def project(self, project: str) -> Project | None:
        """The project of that ID."""

    def has_grant(self, user: str, project: str) -> bool:
        """Whether a grant of the project to the user is there."""

    def have_grants(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """The same for many (user, project) at once, in order, with few queries."""

    def projects_of(self, user: str) -> list[Project]:
        """The projects that the user has grants of."""

    def users_of(self, project: str) -> list[str]:
        """The users that have grants of the project."""

    def write_privileges(self) -> list[str]:
        """What the account could change in the source, in the server's words."""


class GrantCache(Protocol):
    """Grants remembered for a time."""

    def get(self, user: str, project: str) -> RememberedGrant | None:
        """The grant, unless it is too old."""

    def put(self, user: str, project: str, project_name: str | None) -> None:
        """Remembers a grant that the source has just given."""

    def forget(self, user: str, project: str) -> None:
        """Forgets the grant."""

    def grants(self, user: str | None = None, project: str | None = None) -> Iterator[RememberedGrant]:
        """Every usable one."""

    def flush(self, user: str | None = None, project: str | None = None) -> int:
        """Forgets them; how many there were."""

    @property
    def ttl_seconds(self) -> int:
        """How old a grant may become."""


class RememberedGrant(Protocol):
    """A grant and its age."""

    @property
    def user(self) -> str:
        """Whose it is."""

    @property
    def project(self) -> str:
        """Of which project."""

    @property
    def project_name(self) -> str | None:
        """The project's name, if it was remembered."""

    @property
    def age_seconds(self) -> float:
        """Seconds since the source gave it."""
