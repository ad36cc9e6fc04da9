"""How often somebody may come, and what he is told. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """At most `requests` in any `seconds`."""

    requests: int
    seconds: int


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass, and what its headers say. `reset_at` is in seconds since 1970, UTC."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after: int
