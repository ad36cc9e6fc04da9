"""The settings that a command runs with: one context's values, and where each came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from chatctl.domain.result import Notice
from chatctl.settings.secrets import Secret
from chatctl.settings.serving import ModelSettings, ServeSettings

DEFAULT_SOURCE = "default"

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One value, its dotted key, and its source: `flag --layout`, `CHATCTL_LAYOUT`, `chatctl.yaml:12`, `default`."""

    key: str
    value: Secret | Mapping[str, int] | list[str] | str | float | bool | None
    source: str = DEFAULT_SOURCE

    @property
    def is_default(self) -> bool:
        """Whether nobody gave it."""
        return self.source == DEFAULT_SOURCE


@dataclass(frozen=True)
class RedisSettings:
    """Where Redis is. A database number of None is the one that the layout declares."""

    url: Secret
    chat_db: int | None
    cache_db: int | None


@dataclass(frozen=True)
class PurgePolicy:
    """How long conversations are kept, what becomes of those that go, and who is told.

    `accounts`, `projects` and `chat_types` are days by name. `archive_folder` need not exist yet.
    """

    retention_days: int
    minimum_days: int
    accounts: Mapping[str, int]
    projects: Mapping[str, int]
    chat_types: Mapping[str, int]
    archive: Literal["file", "table", "none"]
    archive_folder: Path
    unattended: bool
    price_per_gb_month: float
    ping_url: Secret | None
    metrics_file: Path | None


@dataclass(frozen=True)
class ThrottleSettings:
    """What long runs wait for; None means that they don't."""

    replica: Secret | None
    max_lag_seconds: int | None
    max_running: int | None
    max_statement_ms: int | None


@dataclass(frozen=True)
class Settings:
    """One context's values. `repr` holds no secret.

    `files` are the configuration files that were read, nearest first; `contexts` the names that they define;
    `data_dir` the folder of everything embedded, which need not exist yet.
    """

    context_name: str
    contexts: tuple[str, ...]
    files: tuple[str, ...]
    data_dir: Path
    entries: Mapping[str, Setting]
    warnings: tuple[Notice, ...] = ()

    @property
    def layout(self) -> str:
        """The name of a built-in layout, or a file's absolute path."""
        return self._value("layout", str)

    @property
    def database(self) -> Secret:
        """The SQL database's URL."""
        return self._value("database", Secret)

    @property
    def redis(self) -> RedisSettings:
        """Where Redis is: a URL or `embedded`, and database numbers that overrule the layout's."""
        return RedisSettings(
            self._value("redis.url", Secret),
            self._optional("redis.chat_db", int),
            self._optional("redis.cache_db", int),
        )

    @property
    def permissions_database(self) -> Secret | None:
        """The URL of the database that project permissions are read from; None for the embedded one."""
        return self._optional("permissions.database", Secret)

    @property
    def backup_store(self) -> Secret:
        """A folder's absolute path, or a URL."""
        return self._value("backup.store", Secret)

    @property
    def purge(self) -> PurgePolicy:
        """The retention policy, with defaults for what nobody gave."""
        folder = self._optional("purge.archive_folder", str)
        metrics_file = self._optional("purge.metrics_file", str)
        return PurgePolicy(
            self._value("purge.retention_days", int),
            self._value("purge.minimum_days", int),
            self._optional("purge.accounts", dict) or {},
            self._optional("purge.projects", dict) or {},
            self._optional("purge.chat_types", dict) or {},
            self._value("purge.archive", str),  # type: ignore[arg-type]  # the schema allows only these three
            Path(folder) if folder else self.data_dir / "archives" / self.context_name,
            self._value("purge.unattended", bool),
            self._value("purge.price_per_gb_month", float),
            self._optional("purge.ping_url", Secret),
            Path(metrics_file) if metrics_file else None,
        )

    @property
    def purge_configured(self) -> bool:
        """Whether somebody gave any part of a purge policy, which is the consent that cron needs."""
        return any(not entry.is_default for key, entry in self.entries.items() if key.startswith("purge."))

    @property
    def migrations_script_location(self) -> str | None:
        """The application's own Alembic project; None for chatctl's revisions."""
        return self._optional("migrations.script_location", str)

    @property
    def notify_ping(self) -> Secret | None:
        """The health check that is told how each run ended."""
        return self._optional("notify.ping_url", Secret)

    @property
    def notify_webhook(self) -> Secret | None:
        """The URL that gets JSON when a run has ended."""
        return self._optional("notify.webhook", Secret)

    @property
    def notify_command(self) -> str | None:
        """The command that gets JSON on its stdin when a run has ended."""
        return self._optional("notify.command", str)

    @property
    def journal_schema(self) -> str | None:
        """The schema that holds the journal; None for the database's own."""
        return self._optional("journal.schema", str)

    @property
    def throttle(self) -> ThrottleSettings:
        """What long runs wait for."""
        return ThrottleSettings(
            self._optional("throttle.replica", Secret),
            self._optional("throttle.max_lag_seconds", int),
            self._optional("throttle.max_running", int),
            self._optional("throttle.max_statement_ms", int),
        )

    @property
    def jwt_secret(self) -> Secret | None:
        """What the embedded API signs tokens with; None where nobody gave one."""
        return self._optional("serve.jwt_secret", Secret)

    @property
    def serve(self) -> ServeSettings:
        """What the embedded API runs with."""
        given: dict[str, Any] = self._section("serve")
        lists = {"cors_origins": tuple(given["cors_origins"] or ())}
        return ServeSettings(**{**given, **lists, "store_accounts": frozenset(given["store_accounts"] or ())})

    @property
    def model(self) -> ModelSettings:
        """The language model behind the embedded API."""
        return ModelSettings(**self._section("model"))

    def _section(self, name: str) -> dict[str, Any]:
        start = f"{name}."
        return {key.removeprefix(start): entry.value for key, entry in self.entries.items() if key.startswith(start)}

    @property
    def protected(self) -> bool:
        """Whether every change needs `--confirm` and the context's name."""
        return self._value("protected", bool)

    def source(self, key: str) -> str:
        """Where the value at the dotted `key` came from."""
        return self.entries[key].source

    def _value(self, key: str, kind: type[T]) -> T:
        value: Any = self.entries[key].value
        assert isinstance(value, kind), key
        return value

    def _optional(self, key: str, kind: type[T]) -> T | None:
        return None if self.entries[key].value is None else self._value(key, kind)
