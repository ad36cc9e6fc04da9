"""What `chatctl serve` runs with, and what it runs with where nobody says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatctl.settings.secrets import Secret

#: By dotted key. The limits are those that the systems' own variables have by default.
SERVE_DEFAULTS: dict[str, Any] = {
    "serve.access_minutes": 30,
    "serve.refresh_days": 7,
    "serve.requests_per_minute": 60,
    "serve.burst_size": 10,
    "serve.body_bytes": 1_048_576,
    "serve.store_conversations": True,
    "serve.max_generations": 10,
    "serve.max_generation_seconds": 300.0,
    "serve.max_streams": 1_000,
    "serve.streams_per_minute": 100,
    "serve.heartbeat_seconds": 30.0,
    "model.name": "gpt-4",
    "model.temperature": 0.7,
    "model.max_tokens": 2_048,
    "model.timeout_seconds": 30.0,
    "model.history_tokens": 4_000,
}


@dataclass(frozen=True)
class ServeSettings:
    """The embedded API. Without `jwt_secret` one is made in the data folder; `jwt_previous` still verifies.

    An empty `store_accounts` stores everybody's conversations, unless `store_conversations` is off.
    """

    jwt_secret: Secret | None
    jwt_previous: Secret | None
    access_minutes: int
    refresh_days: int
    requests_per_minute: int
    burst_size: int
    body_bytes: int
    cors_origins: tuple[str, ...]
    store_conversations: bool
    store_accounts: frozenset[str]
    max_generations: int
    max_generation_seconds: float
    max_streams: int
    streams_per_minute: int
    heartbeat_seconds: float


@dataclass(frozen=True)
class ModelSettings:
    """The language model; without a `url` the built-in echo answers. `history_tokens` bounds what is replayed."""

    url: str | None
    key: Secret | None
    name: str
    temperature: float
    max_tokens: int
    timeout_seconds: float
    history_tokens: int
