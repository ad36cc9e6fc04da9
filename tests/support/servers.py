"""Where the tests' servers come from: one named by a variable, else one of their own, else none.

A server that is missing skips the test and says so; one that CHATCTL_TEST_REQUIRE names fails it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import pytest
from tests.support.mariadb import MariaDBServer
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import Server, ServerUnavailableError
from tests.support.redis_server import RedisServer

__all__ = ["MariaDBServer", "PostgreSQLServer", "RedisServer", "given_url", "own_server", "shared_url"]

#: Kind of server → its class. The kinds are the words of CHATCTL_TEST_REQUIRE and the names of pytest's marks.
KINDS: dict[str, type[Server]] = {
    "mysql": MariaDBServer,
    "postgresql": PostgreSQLServer,
    "redis": RedisServer,
}

#: What must not be missing. Read once: a test may empty its environment before it asks for a server.
REQUIRED = frozenset(os.environ.get("CHATCTL_TEST_REQUIRE", "").replace(" ", "").split(","))

# Why a kind of server could not be started, so that every later test is skipped without another try.
_unavailable: dict[str, str] = {}


def given_url(kind: str) -> str | None:
    """The URL that CHATCTL_TEST_<KIND>_URL names, if it does."""
    return os.environ.get(f"CHATCTL_TEST_{kind.upper()}_URL") or None


@contextmanager
def own_server(
    kind: str, settings: dict[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server that the test may kill; skips, or fails where it is required, if there can be none."""
    if kind in _unavailable:
        without(kind, _unavailable[kind])
    try:
        server = KINDS[kind](settings, environment)
    except ServerUnavailableError as problem:
        if settings is None and environment is None:
            _unavailable[kind] = str(problem)
        without(kind, str(problem))
    with server:
        yield server


@contextmanager
def shared_url(kind: str) -> Iterator[str]:
    """The URL of the server that a whole session uses: the one a variable names, or one of the tests' own."""
    given = given_url(kind)
    if given is not None:
        yield given
        return
    with own_server(kind) as server:
        yield server.url


def without(kind: str, reason: str) -> NoReturn:
    """Skips, or fails where CHATCTL_TEST_REQUIRE names `kind`, which may be a pooler too."""
    message = f"no {KINDS[kind].title} server: {reason}" if kind in KINDS else f"no {kind}: {reason}"
    if kind in REQUIRED:
        pytest.fail(f"{message} (CHATCTL_TEST_REQUIRE names {kind})", pytrace=False)
    if kind not in KINDS:
        pytest.skip(message)
    pytest.skip(f"{message}; CHATCTL_TEST_{kind.upper()}_URL can name one")
