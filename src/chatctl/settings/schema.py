"""What a configuration file may say: the sections and keys of a context, their types and limits.

The keys of `Context` are the one list that variables, defaults, `config show` and the example file are held
against. Precedence and secrets are elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    model_validator,
)

from chatctl.settings import secrets

DEFAULT_CONTEXT = "default"


def _written(shape: secrets.Shape) -> Callable[[Any], secrets.Written]:
    def read(value: Any) -> secrets.Written:
        if not isinstance(value, str):
            raise ValueError(f"expected a text, found {_kind(value)}")
        return secrets.Written(value, shape)

    return read


def _no_boolean(value: Any) -> Any:
    # YAML's `yes` is a boolean, which Python takes for the number 1.
    if isinstance(value, bool):
        raise ValueError("expected a number, found true or false")
    return value


def _from_json(value: Any) -> Any:
    # A variable holds a text, where a file holds keys and values.
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('expected names with days, such as {"acme": 90}') from None


def _from_list(value: Any) -> Any:
    # An application's variable may hold `a,b` as well as `["a", "b"]`.
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return [part.strip() for part in value.split(",") if part.strip()]


def _kind(value: Any) -> str:
    kinds = {dict: "keys and values", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), type(value).__name__)


_Hidden = PlainSerializer(str, return_type=str)
DatabaseUrl = Annotated[secrets.Written, PlainValidator(_written(secrets.DATABASE)), _Hidden]
RedisUrl = Annotated[secrets.Written, PlainValidator(_written(secrets.REDIS)), _Hidden]
Store = Annotated[secrets.Written, PlainValidator(_written(secrets.STORE)), _Hidden]
Ping = Annotated[secrets.Written, PlainValidator(_written(secrets.PING)), _Hidden]
Passphrase = Annotated[secrets.Written, PlainValidator(_written(secrets.PASSPHRASE)), _Hidden]
Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$", max_length=63)]
RedisDatabase = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=65_535)]
Days = Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=36_500)]
DaysByName = Annotated[dict[Text, Days], BeforeValidator(_from_json)]
Limit = Annotated[int, BeforeValidator(_no_boolean), Field(ge=1)]
Price = Annotated[float, BeforeValidator(_no_boolean), Field(ge=0)]
Count = Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, BeforeValidator(_no_boolean), Field(gt=0, le=86_400)]
Texts = Annotated[list[Text], BeforeValidator(_from_list)]


class Section(BaseModel):
    """A mapping of a configuration file: unknown keys are mistakes, values don't change, errors quote no input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if value is None:  # a key whose lines are all commented out
            return {}
        if not isinstance(value, Mapping | cls):
            raise ValueError(f"expected keys and values, found {'a text' if isinstance(value, str) else _kind(value)}")
        return value


class Redis(Section):
    """Where Redis is. A database number left out is the layout's."""

    url: RedisUrl | None = None
    chat_db: RedisDatabase | None = None
    cache_db: RedisDatabase | None = None


class Permissions(Section):
    """Where project permissions are read."""

    database: DatabaseUrl | None = None


class Backup(Section):
    """Where backups are kept."""

    store: Store | None = None


class Purge(Section):
    """The retention policy. Saying any of it is the consent that cron needs.

    `accounts`, `projects` and `chat_types` are days by name, as a variable in JSON.
    """

    retention_days: Days | None = None
    minimum_days: Days | None = None
    accounts: DaysByName | None = None
    projects: DaysByName | None = None
    chat_types: DaysByName | None = None
    archive: Literal["file", "table", "none"] | None = None
    archive_folder: Text | None = None
    unattended: bool | None = None
    price_per_gb_month: Price | None = None
    ping_url: Ping | None = None
    metrics_file: Text | None = None


class Migrations(Section):
    """Whose revisions are run, where not chatctl's own."""

    script_location: Text | None = None


class Journal(Section):
    """Where the journal's tables stand."""

    schema_: Identifier | None = Field(default=None, alias="schema")


class Notify(Section):
    """Who is told when a run has ended, besides whoever called it."""

    ping_url: Ping | None = None
    webhook: Ping | None = None
    command: Text | None = None


class Throttle(Section):
    """What long runs wait for: a replica that lags behind, a server that is busy."""

    replica: DatabaseUrl | None = None
    max_lag_seconds: Limit | None = None
    max_running: Limit | None = None
    max_statement_ms: Limit | None = None


class Serve(Section):
    """The embedded API. In a variable a list is JSON, or has commas."""

    jwt_secret: Passphrase | None = None
    jwt_previous: Passphrase | None = None
    access_minutes: Count | None = None
    refresh_days: Count | None = None
    requests_per_minute: Count | None = None
    burst_size: Count | None = None
    body_bytes: Count | None = None
    cors_origins: Texts | None = None
    store_conversations: bool | None = None
    store_accounts: Texts | None = None
    max_generations: Count | None = None
    max_generation_seconds: Seconds | None = None
    max_streams: Count | None = None
    streams_per_minute: Count | None = None
    heartbeat_seconds: Seconds | None = None


class Model(Section):
    """The language model behind the embedded API: any that speaks OpenAI's HTTP protocol."""

    url: Text | None = None
    key: Passphrase | None = None
    name: Text | None = None
    temperature: Price | None = None
    max_tokens: Count | None = None
    timeout_seconds: Seconds | None = None
    history_tokens: Count | None = None


class Context(Section):
    """One system that chatctl looks after: its layout, its servers and its policies."""

    layout: Text | None = None
    database: DatabaseUrl | None = None
    protected: bool | None = None
    redis: Redis = Redis()
    permissions: Permissions = Permissions()
    backup: Backup = Backup()
    purge: Purge = Purge()
    migrations: Migrations = Migrations()
    journal: Journal = Journal()
    notify: Notify = Notify()

    throttle: Throttle = Throttle()
    serve: Serve = Serve()
    model: Model = Model()


class ConfigurationFile(Section):
    """A whole chatctl.yaml."""

    context: Name | None = None
    contexts: dict[Name, Context] = {}

    @model_validator(mode="before")
    @classmethod
    def _contexts_given(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("contexts", {}) is None:
            return {**value, "contexts": {}}
        return value


def dotted_keys(section: type[Section] = Context) -> list[str]:
    """The dotted keys of `section`, in the order in which they are declared."""
    return list(_keys(section))


def _keys(section: type[Section]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        key = field.alias or name
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from (f"{key}.{below}" for below in _keys(field.annotation))
        else:
            yield key


def values(section: Section) -> dict[str, Any]:
    """The values that `section` gives, by dotted key; what it leaves out is left out."""
    found: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        key, value = field.alias or name, getattr(section, name)
        if isinstance(value, Section):
            found |= {f"{key}.{below}": item for below, item in values(value).items()}
        elif value is not None:
            found[key] = value
    return found


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"redis.url": …}` as `{"redis": {"url": …}}`, the form that `Context` reads."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, last = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[last] = value
    return tree
