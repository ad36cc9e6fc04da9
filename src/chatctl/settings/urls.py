"""URLs of databases, Redis and backup stores: what they must look like, and what of them may be shown.

Checks only what can be said without a driver: SQLAlchemy and redis-py read the same text later. A message never
quotes the text, which may hold a password.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from chatctl.settings.locations import placed

FILE_SCHEMES = ("sqlite",)
#: Sentinel and Cluster: several hosts with commas between them, which the client takes apart.
MANY_SERVERS = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
DATABASE_SCHEMES = (*FILE_SCHEMES, "mysql", "mariadb", "postgresql", "postgres")
REDIS_SCHEMES = ("redis", "rediss", "unix", *MANY_SERVERS)
PING_SCHEMES = ("http", "https")
EMBEDDED = "embedded"

#: Health checks are told apart by keys in their paths; a shorter word is a name.
_SHORTEST_KEY = 12

# The parts as SQLAlchemy cuts them, so that both see the same host.
_URL = re.compile(
    r"(?P<scheme>[\w+.-]+)://"
    r"(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<host>\[[^/?]+\]|[^/:?]*)(?::(?P<port>[^/?]*))?"
    r"(?:/(?P<path>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_SECRET_PARAMETER = re.compile(r"passw|pwd|secret|token|api_?key|credential", re.IGNORECASE)
_PARAMETER = re.compile(r"(?P<name>[^?&=]+)=(?P<value>[^&]*)")
# Greedy on purpose: where an unescaped @ or / stands inside the password, all of it goes.
_PASSWORD = re.compile(r"(?<=://)(?P<user>[^:/@]*):.*@", re.DOTALL)


def check_database_url(text: str) -> None:
    """Raises ValueError, saying what was expected, unless `text` is a database URL."""
    scheme, parts = _split(text, "postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE")
    family = scheme.split("+")[0]
    _check_scheme(family, DATABASE_SCHEMES)
    if family in FILE_SCHEMES:
        if parts["host"]:
            raise ValueError("expected sqlite:///FILE, or sqlite:////FILE where the path is absolute")
        return
    _check_server(parts)
    if not parts["path"]:
        raise ValueError("expected the database's name after the host (…@HOST/DATABASE)")


def check_redis_url(text: str) -> None:
    """Raises ValueError, saying what was expected, unless `text` is a Redis URL or `embedded`."""
    if text == EMBEDDED:
        return
    scheme, parts = _split(text, f"redis://HOST:6379/0, unix://PATH?db=0, or {EMBEDDED}")
    _check_scheme(scheme, REDIS_SCHEMES)
    if scheme == "unix":
        if not parts["path"]:
            raise ValueError("expected the socket's absolute path (unix:///run/redis.sock?db=0)")
        return
    if scheme in MANY_SERVERS:
        if scheme.endswith("sentinel") and not parts["path"]:
            raise ValueError("expected the service's name after the hosts (redis+sentinel://HOST1,HOST2/SERVICE)")
        return
    _check_server(parts)
    if parts["path"] and not parts["path"].isdecimal():
        raise ValueError("expected a database number after the host (redis://HOST:6379/0)")


def check_store(text: str) -> None:
    """Raises ValueError unless `text` names a folder or is a URL."""
    if not text.strip():
        raise ValueError("expected a folder or a URL such as s3://BUCKET/FOLDER")


def check_ping_url(text: str) -> None:
    """Raises ValueError, saying what was expected, unless `text` is the URL of a health check."""
    scheme, parts = _split(text, "https://HOST/PATH")
    _check_scheme(scheme, PING_SCHEMES)
    _check_server(parts)


def paths(text: str) -> list[str]:
    """What is secret of a health check's URL: its password, and those parts of its path that nobody could guess."""
    parts = _URL.fullmatch(text)
    segments = (parts["path"] or "").split("/") if parts else []
    return [*passwords(text), *(segment for segment in segments if len(segment) >= _SHORTEST_KEY)]


def mask_path(text: str) -> str:
    """The URL `text` without what is secret in a health check's."""
    for secret in paths(text):
        text = text.replace(secret, "***")
    return mask_url(text)


def place_store(text: str, base: Path) -> str:
    """A store's folder as an absolute path, seen from `base`; a URL as it is."""
    return text if "://" in text else str(placed(text, base))


def passwords(text: str) -> list[str]:
    """The passwords that the URL `text` carries, decoded: beside the user and among its parameters."""
    parts = _URL.fullmatch(text)
    if parts is None:
        return []
    parameters = parse_qsl(parts["query"] or "")
    found = [unquote(parts["password"] or ""), *(value for name, value in parameters if _SECRET_PARAMETER.search(name))]
    return [password for password in found if password]


def has_password(text: str) -> bool:
    """Whether the URL `text` carries a password."""
    return bool(passwords(text))


def mask_url(text: str) -> str:
    """The URL `text` with `***` in the place of every password."""
    address, mark, query = _PASSWORD.sub(r"\g<user>:***@", text).partition("?")
    return address + mark + _PARAMETER.sub(_mask_parameter, query)


def _mask_parameter(match: re.Match[str]) -> str:
    return f"{match['name']}=***" if _SECRET_PARAMETER.search(match["name"]) else match[0]


def _split(text: str, example: str) -> tuple[str, dict[str, str]]:
    parts = _URL.fullmatch(text)
    if parts is None or any(character.isspace() for character in text):
        raise ValueError(f"expected a URL such as {example}")
    return parts["scheme"].lower(), {name: value or "" for name, value in parts.groupdict().items()}


def _check_scheme(scheme: str, known: tuple[str, ...]) -> None:
    if scheme in known:
        return
    close = difflib.get_close_matches(scheme, known, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    raise ValueError(f"expected a URL that starts with one of {', '.join(known)}, found '{scheme}'{meant}")


def _check_server(parts: dict[str, str]) -> None:
    if "@" in parts["host"] or "@" in parts["path"]:
        raise ValueError("an @, / or : inside the user name or password must be written %40, %2F or %3A")
    if parts["port"] and not (parts["port"].isdecimal() and 0 < int(parts["port"]) < 65536):
        raise ValueError("expected a port between 1 and 65535 (an @, / or : inside a password is %40, %2F or %3A)")
