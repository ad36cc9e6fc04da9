"""What a service hands back: plain data that the CLI renders and the API returns.

Nothing here prints, and nothing knows an exit code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from chatctl.errors import ChatctlError


class Outcome(Enum):
    """How a command that did not fail came out."""

    DONE = "done"
    PENDING = "pending"
    DENIED = "denied"
    FINDINGS = "findings"
    PARTIAL = "partial"
    STOPPED_EARLY = "stopped_early"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Notice:
    """A warning or an error as it stands in the output: its name, what happened, what to do."""

    code: str
    message: str
    hint: str | None = None
    docs: str | None = None

    @classmethod
    def of(cls, error: ChatctlError) -> Notice:
        """The notice that shows `error`."""
        return cls(error.code, error.message, error.hint, error.docs)


@dataclass(frozen=True)
class Result:
    """The answer to one command.

    `data` holds JSON values only (times as ISO 8601 strings in UTC, durations in seconds), with the keys that the
    command contract fixes.
    """

    data: dict[str, Any]
    outcome: Outcome = Outcome.DONE
    run_id: str | None = None
    warnings: tuple[Notice, ...] = ()
    errors: tuple[Notice, ...] = field(default=())
