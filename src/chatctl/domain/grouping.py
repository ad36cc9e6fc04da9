"""How messages are grouped into chats: the options, and what they say in words. Nothing here reads a message."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from chatctl.errors import UsageError

NullKeys = Literal["standalone", "general"]
Title = Literal["mentor", "first-message", "none"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([1-9][0-9]*)([smhd])")


@dataclass(frozen=True)
class Grouping:
    """Which messages are grouped, and by what.

    `by` are the grouping keys in chatctl's words. A pause longer than `gap_seconds` starts a new chat (None: none
    does). A message that lacks a key stays `standalone` or goes to a `general` chat. `user`, `since` (inclusive)
    and `until` (exclusive; both ISO 8601 in UTC) narrow the choice of messages. `mapping` is the SHA-256 of the file
    that says whose messages are which, where one was given.
    """

    by: tuple[str, ...]
    gap_seconds: int | None = None
    null_keys: NullKeys = "standalone"
    title: Title = "mentor"
    user: str | None = None
    since: str | None = None
    until: str | None = None
    mapping: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For the journal, plan files and fingerprints."""
        values = {**asdict(self), "by": list(self.by)}
        if self.mapping is None:
            del values["mapping"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Grouping:
        """What `as_json` wrote."""
        return cls(**{**values, "by": tuple(values["by"])})

    @property
    def begins(self) -> datetime | None:
        """`since` as an aware instant."""
        return _instant(self.since)

    @property
    def ends(self) -> datetime | None:
        """`until` as an aware instant."""
        return _instant(self.until)


def gap_seconds(text: str) -> int | None:
    """The seconds of `30m`, `6h` or `1d`; None for `none`. Raises UsageError."""
    if text == "none":
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' is no pause.", hint="A pause is 30m, 6h, 1d, or none.")
    return int(match[1]) * _UNITS[match[2]]


def instant(text: str) -> str:
    """An ISO 8601 date or time (UTC where no zone is named), normalised to UTC. Raises UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"'{text}' is no date or time.", hint="It looks like 2026-01-31 or 2026-01-31T12:00:00Z."
        ) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat()


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
