"""What a step is, and what it checks with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class FailedStep(Exception):  # noqa: N818 - it is a step's outcome
    """Why a step failed."""


@dataclass(frozen=True)
class Step:
    """One step: its name, and what it does; it raises FailedStep where the server doesn't do as it should."""

    name: str
    work: Callable[[], None]


class Sender(Protocol):
    """Who sends for the steps."""

    user: str
    mentor: str | None
    project: str | None
    kept: dict[str, Any]

    def send(self, method: str, path: str, expected: Any = 200, **options: Any) -> Any:
        """The answer's JSON."""


def require(ok: bool, what: str) -> None:
    """Raises FailedStep unless it holds."""
    if not ok:
        raise FailedStep(f"Expected {what}.")


def require_keys(body: Any, *keys: str) -> None:
    """Raises FailedStep unless the body is an object with these keys."""
    missing = [key for key in keys if not isinstance(body, dict) or key not in body]
    require(not missing, f"the keys {', '.join(missing)}")
