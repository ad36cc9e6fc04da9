"""Checks of Redis: does it answer, does it keep what it is given, are the counters right."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.domain.findings import Finding, Severity
from chatctl.errors import ChatctlError
from chatctl.services.doctor.base import NotApplicableError, Registered, Surroundings, finding, older, registrar
from chatctl.stores.redis.server import read_vitals
from chatctl.stores.redis.stores import RedisStores

CHECKS: Registered = []
check = registrar("redis", CHECKS)

REACHABLE = "redis-reachable"
_OLDEST = "6.2"


def _stores(around: Surroundings) -> RedisStores:
    if around.redis is None:
        raise NotApplicableError(f"the layout '{around.layout.name}' needs no Redis, and none is configured")
    return around.redis()


@check(REACHABLE, "counters", "serve", "backup")
def reachable(around: Surroundings) -> Iterator[Finding]:
    """Sessions, counters and cached permissions live in Redis."""
    if around.redis is None and around.layout.requires.redis:
        message = f"The layout '{around.layout.name}' needs Redis, and none is configured."
        yield finding(REACHABLE, "redis.url", message, "Set redis.url, or REDIS_URL.")
        return
    stores = _stores(around)
    try:
        stores.ping()
    except ChatctlError as problem:
        yield finding(REACHABLE, stores.where, problem.message, problem.hint or "Check redis.url.")


@check("redis-version", "counters", "serve", "backup", after=REACHABLE)
def version(around: Surroundings) -> Iterator[Finding]:
    """An old server lacks commands that chatctl and the application use."""
    wanted = around.layout.requires.redis or _OLDEST
    for server in read_vitals(_stores(around).servers):
        if older(server.version, wanted):
            message = f"Redis is {server.version}, {wanted} is needed."
            yield finding("redis-version", server.where, message, "Upgrade the server.")


@check("redis-eviction", "counters", "serve", after=REACHABLE)
def eviction(around: Surroundings) -> Iterator[Finding]:
    """A counter that is evicted starts again at 1, and the next session overwrites a living one."""
    for server in _stores(around).facts():
        if server.eviction_policy != "noeviction":
            message = f"maxmemory-policy is {server.eviction_policy}: keys may vanish, counters among them."
            fix = "redis-cli CONFIG SET maxmemory-policy noeviction"
            yield finding("redis-eviction", server.where, message, "Set noeviction, in redis.conf, too.", fix=fix)


@check("redis-persistence", "counters", "serve", after=REACHABLE)
def persistence(around: Surroundings) -> Iterator[Finding]:
    """Without persistence a restart loses every session and every counter."""
    for server in _stores(around).facts():
        if not server.persistent:
            message = "Nothing survives a restart: neither appendonly nor save is set."
            fix = "redis-cli CONFIG SET appendonly yes"
            yield finding("redis-persistence", server.where, message, "Set appendonly, in redis.conf, too.", fix=fix)


@check("redis-clock", "counters", "serve", after=REACHABLE)
def clock(around: Surroundings) -> Iterator[Finding]:
    """Keys expire by the server's clock, and a session's month is told by this machine's."""
    for server in read_vitals(_stores(around).servers):
        if abs(server.ahead_seconds) > around.limits.clock_seconds:
            direction = "ahead of" if server.ahead_seconds > 0 else "behind"
            message = f"The server's clock is {abs(server.ahead_seconds):.0f} s {direction} this machine's."
            yield finding("redis-clock", server.where, message, "Let NTP set both (timedatectl, chronyc tracking).")


@check("redis-tls", "serve", "backup", after=REACHABLE)
def tls(around: Surroundings) -> Iterator[Finding]:
    """Sessions and passwords that go over a network unencrypted can be read and changed there."""
    servers = read_vitals(_stores(around).servers)
    if all(server.local for server in servers):
        raise NotApplicableError("the connection stays on this machine")
    for server in servers:
        if not server.local and not server.encrypted:
            hint = "Use a rediss:// URL, and tls-port in redis.conf."
            message = "The connection is not encrypted."
            yield finding("redis-tls", server.where, message, hint, severity=Severity.WARNING)
