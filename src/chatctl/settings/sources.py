"""The sources of settings: flags, CHATCTL_* variables, the applications' own variables, and files.

Each becomes a `Layer`: values by dotted key, checked, with the place where each stands. Which layer wins is decided
in `loading`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from chatctl.domain.result import Notice
from chatctl.errors import ConfigurationError
from chatctl.settings import schema, urls
from chatctl.settings.flags import Flags
from chatctl.settings.secrets import LiteralText
from chatctl.yamlfile import YamlDocument

PREFIX = "CHATCTL_"
CONTEXT_VARIABLE = "CHATCTL_CONTEXT"
CONFIG_VARIABLE = "CHATCTL_CONFIG"

#: CHATCTL_* variables by dotted key; CHATCTL_REDIS is short for CHATCTL_REDIS_URL and gives way to it.
VARIABLES: dict[str, str] = {"CHATCTL_REDIS": "redis.url"} | {
    PREFIX + key.upper().replace(".", "_"): key for key in schema.dotted_keys()
}

#: Read by the command line itself.
_OTHER_VARIABLES = (
    CONTEXT_VARIABLE, CONFIG_VARIABLE, "CHATCTL_OUTPUT", "CHATCTL_QUIET", "CHATCTL_VERBOSE", "CHATCTL_NO_INPUT",
    "CHATCTL_YES", "CHATCTL_COLOR", "CHATCTL_LOG_FORMAT",
)  # fmt: skip

#: The variables that the chat systems themselves read, by dotted key.
APPLICATION_VARIABLES: dict[str, str] = {
    "DATABASE_URL": "database",
    "REDIS_URL": "redis.url",
    "REDIS_CHAT_DB": "redis.chat_db",
    "REDIS_CACHE_DB": "redis.cache_db",
    "JWT_SECRET_KEY": "serve.jwt_secret",
    "JWT_ACCESS_TOKEN_EXPIRE_MINUTES": "serve.access_minutes",
    "JWT_REFRESH_TOKEN_EXPIRE_DAYS": "serve.refresh_days",
    "RATE_LIMIT_PER_MINUTE": "serve.requests_per_minute",
    "CORS_ORIGINS": "serve.cors_origins",
    "ENABLE_CONVERSATION_STORAGE": "serve.store_conversations",
    "MAX_CONCURRENT_GENERATIONS": "serve.max_generations",
    "MAX_CONTENT_GENERATION_TIME": "serve.max_generation_seconds",
    "WS_MAX_CONNECTIONS": "serve.max_streams",
    "WS_RATE_LIMIT_PER_MINUTE": "serve.streams_per_minute",
    "WS_HEARTBEAT_INTERVAL": "serve.heartbeat_seconds",
    "OPENAI_API_KEY": "model.key",
    "OPENAI_MODEL": "model.name",
    "OPENAI_TEMPERATURE": "model.temperature",
    "MAX_TOKENS": "model.max_tokens",
}

_TPMS_KEY = "permissions.database"
_TPMS_REQUIRED = ("MYSQL_HOST", "MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_DATABASE")

_FLAGS: dict[str, str] = {"database": "database", "redis": "redis.url", "layout": "layout"}


@dataclass(frozen=True)
class Layer:
    """The values of one source by dotted key, the place of each, and the folder that relative paths are seen from."""

    values: Mapping[str, Any]
    place: Callable[[str], str]
    base: Path


def flag_layer(flags: Flags, cwd: Path) -> Layer:
    """What the command line gave."""
    given = {key: (f"flag --{name}", getattr(flags, name)) for name, key in _FLAGS.items() if getattr(flags, name)}
    return _layer(given, cwd)


def variable_layer(environ: Mapping[str, str], cwd: Path) -> Layer:
    """What CHATCTL_* variables gave; an empty one counts as not set."""
    return _layer({key: (name, environ[name]) for name, key in VARIABLES.items() if environ.get(name)}, cwd)


def application_layer(environ: Mapping[str, str], cwd: Path, without: Iterable[str]) -> Layer:
    """What the applications' own variables give, taken literally.

    The keys in `without` are decided already: a variable that isn't chatctl's need not make sense to it then.
    """
    given = {
        key: (name, LiteralText(environ[name])) for name, key in APPLICATION_VARIABLES.items() if environ.get(name)
    }
    if not incomplete_tpms(environ) and environ.get(_TPMS_REQUIRED[0]):
        given[_TPMS_KEY] = ("MYSQL_*", LiteralText(_tpms_url(environ)))
    decided = set(without)
    return _layer({key: value for key, value in given.items() if key not in decided}, cwd)


def file_layer(document: YamlDocument, file: schema.ConfigurationFile, context: str, base: Path) -> Layer:
    """What `file` says of `context`; nothing where it doesn't mention it."""
    section = file.contexts.get(context, schema.Context())

    def place(key: str) -> str:
        return document.where(("contexts", context, *key.split(".")))

    return Layer(schema.values(section), place, base)


def incomplete_tpms(environ: Mapping[str, str]) -> list[str]:
    """The MYSQL_* variables that are missing beside those that are set; none where none is set."""
    missing = [name for name in _TPMS_REQUIRED if not environ.get(name)]
    return missing if len(missing) < len(_TPMS_REQUIRED) else []


def misspelt_variables(environ: Mapping[str, str]) -> list[Notice]:
    """A warning for each CHATCTL_* variable that nobody reads and that looks like one that somebody does."""
    known = [*VARIABLES, *_OTHER_VARIABLES]
    notices = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith("CHATCTL_TEST_") or name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if close:
            notices.append(Notice("unknown_variable", f"The variable {name} is not read.", f"Did you mean {close[0]}?"))
    return notices


def passwords_in_flags(flags: Flags) -> list[Notice]:
    """A warning for each flag that holds a password, which every user of the machine can read."""
    replacements = {"database": "CHATCTL_DATABASE", "redis": "CHATCTL_REDIS_URL"}
    return [
        Notice(
            "password_in_flag",
            f"--{name} holds a password, which the process list and the shell's history show.",
            f"Put the URL into {variable} instead.",
        )
        for name, variable in replacements.items()
        if urls.has_password(getattr(flags, name) or "")
    ]


def _tpms_url(environ: Mapping[str, str]) -> str:
    host, user, password, database = (environ[name] for name in _TPMS_REQUIRED)
    address = f"[{host}]" if ":" in host else host
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"mysql://{login}@{address}:{environ.get('MYSQL_PORT') or 3306}/{quote(database, safe='')}"


def _layer(given: Mapping[str, tuple[str, str]], base: Path) -> Layer:
    tree = schema.nested({key: text for key, (_, text) in given.items()})
    try:
        section = schema.Context.model_validate(tree)
    except ValidationError as problems:
        raise ConfigurationError(_explain(problems, given)) from None
    return Layer(schema.values(section), lambda key: given[key][0], base)


def _explain(problems: ValidationError, given: Mapping[str, tuple[str, str]]) -> str:
    lines = []
    for problem in problems.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in problem["loc"])
        label = given[key][0] if key in given else key
        lines.append(f"{label}: {problem['msg'].removeprefix('Value error, ').rstrip('.')}.")
    return "\n".join(lines)
