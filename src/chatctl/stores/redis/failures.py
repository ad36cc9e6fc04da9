"""The driver's errors in chatctl's words. Nothing else of chatctl catches an error of redis-py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import exceptions as driver
from redis.sentinel import MasterNotFoundError

from chatctl.errors import (
    AccessDeniedError,
    CannotConnectError,
    ChatctlError,
    ConfigurationError,
    DatabaseError,
    DiskFullError,
    IntegrityError,
    NoPrivilegeError,
    ReadOnlyError,
    RefusedError,
)

#: What may pass on another try, once a new master has been chosen.
PASSING = (
    driver.ConnectionError,
    driver.TimeoutError,
    driver.ReadOnlyError,
    driver.ClusterDownError,
    driver.SlotNotCoveredError,
    driver.TryAgainError,
    driver.BusyLoadingError,
)

#: What cannot pass on another try although the driver counts it among the connection errors.
LASTING = (driver.AuthenticationError, driver.AuthorizationError)

_NO_ACCESS = (*LASTING, driver.AuthenticationWrongNumberOfArgsError)

# The first word of a server's error → what it means. The driver has no classes for these.
_WORDS: dict[str, tuple[type[ChatctlError], str | None]] = {
    "WRONGTYPE": (IntegrityError, "A key holds another type than its name promises: chatctl counters check."),
    "MISCONF": (DiskFullError, "Redis can't write its file any more: look at its disk and its log."),
    "NOREPLICAS": (RefusedError, "Too few replicas are in step with the master to write safely."),
    "NOAUTH": (AccessDeniedError, "Put the password into the Redis URL (CHATCTL_REDIS_URL)."),
    "WRONGPASS": (AccessDeniedError, "Check the user name and the password in the Redis URL."),
    "NOPERM": (NoPrivilegeError, "Grant the Redis user the command or the key that the message names."),
    "READONLY": (ReadOnlyError, "This is a replica: name the master, or Sentinel, in the Redis URL."),
    "OOM": (RefusedError, "Redis has reached maxmemory: give it more, or archive idle sessions."),
    "CLUSTERDOWN": (CannotConnectError, "Some slots have no master: look at CLUSTER INFO."),
    "LOADING": (CannotConnectError, "Redis is still loading its data: try again in a moment."),
    "MASTERDOWN": (CannotConnectError, "The replica has lost its master."),
}

# A denied command inside a script, as versions 6 and 7 put it.
_DENIED_IN_SCRIPT = ("The user executing the script can't", "ACL failure in script")

# The driver's class → what it means, the narrowest first.
_CLASSES: list[tuple[Any, tuple[type[ChatctlError], str | None]]] = [
    (_NO_ACCESS, _WORDS["WRONGPASS"]),
    (driver.NoPermissionError, _WORDS["NOPERM"]),
    (driver.ReadOnlyError, _WORDS["READONLY"]),
    (driver.OutOfMemoryError, _WORDS["OOM"]),
    (MasterNotFoundError, (CannotConnectError, "Sentinel knows no healthy master of that name.")),
    (
        (driver.ConnectionError, driver.TimeoutError, driver.RedisClusterException),
        (CannotConnectError, "Check the Redis URL (CHATCTL_REDIS_URL), and that the server is running."),
    ),
]


@contextmanager
def translating(where: str) -> Iterator[None]:
    """Raises the driver's errors as chatctl's, naming `where`; the driver's own is the cause."""
    try:
        yield
    except (driver.RedisError, driver.RedisClusterException) as problem:
        raise translate(problem, where) from problem
    except OSError as problem:
        raise CannotConnectError(f"{where}: {_first_line(problem)}") from problem


def translate(problem: Exception, where: str) -> ChatctlError:
    """The driver's `problem` as an error of chatctl."""
    text = _first_line(problem)
    if any(phrase in text for phrase in _DENIED_IN_SCRIPT):
        kind, hint = _WORDS["NOPERM"]
        return kind(f"{where}: {text}", hint=hint)
    for word, (kind, hint) in _WORDS.items():
        # A script's error has the server's word in front or, with a minus, in its middle, depending on the version.
        if word in text.split(" script: ")[0].replace(" -", " ").split():
            return kind(f"{where}: {text}", hint=hint)
    kind, hint = _by_class(problem)
    return kind(f"{where}: {text}", hint=hint)


def unusable_url(problem: Exception) -> ConfigurationError:
    """The error for a URL that the driver refuses; its text may hold a password and is not shown."""
    return ConfigurationError(
        f"The Redis URL can't be used ({type(problem).__name__}).", hint="redis://USER:PASSWORD@HOST:6379/0"
    )


def _by_class(problem: Exception) -> tuple[type[ChatctlError], str | None]:
    return next((meaning for kinds, meaning in _CLASSES if isinstance(problem, kinds)), (DatabaseError, None))


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0] if lines else type(problem).__name__
