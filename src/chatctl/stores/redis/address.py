"""A Redis URL taken apart: one server, Sentinel, a cluster, or the embedded server. Connects nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlsplit

from chatctl.errors import ConfigurationError

EMBEDDED = "embedded"
_DEFAULT_PORT = 6379
_SENTINEL_PORT = 26379


class Topology(Enum):
    """How the servers behind a URL are arranged."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Address:
    """Where Redis is. `url` is the driver's own for one server; `hosts` are those of Sentinel or a cluster."""

    topology: Topology
    url: str = field(default="", repr=False)
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    database: int = 0
    tls: bool = False
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """Where it is, for messages: without user names and passwords."""
        if self.topology is Topology.EMBEDDED:
            return "embedded Redis"
        if self.topology is Topology.SINGLE:
            parts = urlsplit(self.url)
            return (
                f"Redis at {parts.path}" if parts.scheme == "unix" else f"Redis at {_place(parts.hostname, parts.port)}"
            )
        hosts = ",".join(_place(*host) for host in self.hosts)
        if self.topology is Topology.CLUSTER:
            return f"Redis Cluster at {hosts}"
        return f"Redis '{self.service}' of Sentinel at {hosts}"


def parse_address(url: str) -> Address:
    """Reads `embedded`, `redis://`, `rediss://`, `unix://`, `redis+sentinel://` and `redis+cluster://` URLs.

    `rediss+sentinel` and `rediss+cluster` speak TLS. Raises ConfigurationError, never quoting the URL.
    """
    if url == EMBEDDED:
        return Address(Topology.EMBEDDED)
    scheme = url.partition("://")[0].lower()
    if scheme in ("redis", "rediss", "unix"):
        return Address(Topology.SINGLE, url=url, database=_database_of(url), tls=scheme == "rediss")
    transport, _, arrangement = scheme.partition("+")
    if transport not in ("redis", "rediss") or arrangement not in ("sentinel", "cluster"):
        raise ConfigurationError(
            "The Redis URL can't be used: its scheme is unknown.",
            hint="redis://, rediss://, unix://, redis+sentinel://, redis+cluster://, or embedded.",
        )
    return _many(url, transport == "rediss", Topology(arrangement))


def _many(url: str, tls: bool, topology: Topology) -> Address:
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    options = dict(parse_qsl(parts.query))
    path = [unquote(part) for part in parts.path.split("/") if part]
    default_port = _SENTINEL_PORT if topology is Topology.SENTINEL else _DEFAULT_PORT
    if topology is Topology.SENTINEL and not path:
        raise ConfigurationError("The Redis URL names no service.", hint="redis+sentinel://HOST1,HOST2/SERVICE?db=0")
    database = options.pop("db", path[1] if len(path) > 1 else "0")
    return Address(
        topology,
        hosts=tuple(_host(text, default_port) for text in hosts.split(",") if text),
        service=path[0] if topology is Topology.SENTINEL else "",
        database=_number(database, "database number"),
        tls=tls,
        user=unquote(user) or None,
        password=unquote(password) or None,
        options=options,
    )


def _database_of(url: str) -> int:
    parts = urlsplit(url)
    named = dict(parse_qsl(parts.query)).get("db")
    if named is None and parts.scheme != "unix":
        named = parts.path.strip("/")
    return _number(named or "0", "database number")


def _host(text: str, default_port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.lstrip(":")
    else:
        host, _, port = text.partition(":")
    return host, _number(port, "port") if port else default_port


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ConfigurationError(f"The Redis URL can't be used: expected a {what}, found '{text}'.")
    return int(text)


def _place(host: str | None, port: int | None) -> str:
    return f"{host or 'localhost'}:{port or _DEFAULT_PORT}"
