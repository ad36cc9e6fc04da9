"""How often each caller may come: moving windows in Redis, of the `limits` library.

While Redis is away each process counts for itself, by the same rules: nobody is let through uncounted, and nobody is
turned away because of it. Rules of many requests are taken from Redis some at a time, so that a high limit costs no
round trip a request; what was taken counts as used.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisClusterStorage, RedisStorage, Storage
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from chatctl.domain.limits import Rule, Verdict
from chatctl.stores.redis.address import Topology
from chatctl.stores.redis.client import RedisServers

log = logging.getLogger(__name__)

_PREFIX = "chatctl:limits"
_RETRY_SECONDS = 1.0
_LEASE_SECONDS = 1.0
#: The share of a limit that is taken at once, and the most of it.
_LEASE_SHARE, _LARGEST_LEASE = 1_000, 100
_LEASES = 10_000


class _Windows:
    """Counts in one storage: few requests each by its instant, many by two counters that slide into each other."""

    def __init__(self, storage: Storage) -> None:
        self.few = MovingWindowRateLimiter(storage)
        # A list of a hundred thousand instants would be walked through for every request.
        self.many = SlidingWindowCounterRateLimiter(storage)


@dataclass
class _Lease:
    left: int
    until: float
    verdict: Verdict


class Limiter:
    """Counts in the Redis behind `servers`."""

    def __init__(self, servers: RedisServers) -> None:
        self._servers = servers
        self._shared: _Windows | None = None
        self._own = _Windows(MemoryStorage())
        self._away_until = 0.0
        self._leases: OrderedDict[tuple[str, tuple[Rule, ...]], _Lease] = OrderedDict()

    @property
    def is_shared(self) -> bool:
        """Whether Redis counts, or each process for itself."""
        return time.monotonic() >= self._away_until

    def leased(self, identifier: str, rules: tuple[Rule, ...]) -> Verdict | None:
        """The verdict where some requests were taken in advance: it costs nothing. None where Redis has to be asked."""
        lease = self._leases.get((identifier, rules))
        if lease is None or lease.left <= 0 or time.monotonic() > lease.until:
            return None
        lease.left -= 1
        return lease.verdict

    def acquire(self, identifier: str, rules: tuple[Rule, ...]) -> Verdict:
        """Counts a request of `identifier` by all the rules; the first one is what the headers tell of."""
        if self.is_shared:
            try:
                if self._shared is None:
                    self._shared = _Windows(self._storage())
                return self._ask(self._shared, identifier, rules)
            except (RedisError, OSError) as problem:
                self._away_until = time.monotonic() + _RETRY_SECONDS
                self._shared = None
                log.warning("Redis is away, limits are counted by this process: %s", type(problem).__name__)
        return self._ask(self._own, identifier, rules)

    def _ask(self, windows: _Windows, identifier: str, rules: tuple[Rule, ...]) -> Verdict:
        size = max(1, min(_LARGEST_LEASE, *(rule.requests // _LEASE_SHARE for rule in rules)))
        limiter: RateLimiter = windows.many if size > 1 else windows.few
        main = rules[0]
        # The shorter windows first: what they refuse is not counted by the longer one.
        for rule in sorted(rules, key=lambda rule: rule.seconds):
            item = RateLimitItemPerSecond(rule.requests, rule.seconds)
            if not limiter.hit(item, identifier, cost=size):
                return self._verdict(limiter, identifier, main, rule, allowed=False)
        verdict = self._verdict(limiter, identifier, main, main, allowed=True)
        if size > 1:
            self._leases[identifier, rules] = _Lease(size - 1, time.monotonic() + _LEASE_SECONDS, verdict)
            while len(self._leases) > _LEASES:
                self._leases.popitem(last=False)
        return verdict

    def _verdict(self, limiter: RateLimiter, identifier: str, main: Rule, broken: Rule, *, allowed: bool) -> Verdict:
        stats = limiter.get_window_stats(RateLimitItemPerSecond(main.requests, main.seconds), identifier)
        reset = stats.reset_time
        if not allowed and broken is not main:
            item = RateLimitItemPerSecond(broken.requests, broken.seconds)
            reset = limiter.get_window_stats(item, identifier).reset_time
        wait = max(1, -int(-(reset - time.time()) // 1))
        return Verdict(allowed, main.requests, max(0, int(stats.remaining)), -int(-stats.reset_time // 1), wait)

    def _storage(self) -> Storage:
        address = self._servers.address
        if address.topology is Topology.CLUSTER:
            scheme = "rediss+cluster" if address.tls else "redis+cluster"
            hosts = ",".join(f"{host}:{port}" for host, port in address.hosts)
            options = {"username": address.user, "password": address.password}
            given: dict[str, Any] = {name: value for name, value in options.items() if value}
            return RedisClusterStorage(f"{scheme}://{hosts}", _PREFIX, **given)
        pool = self._servers.client().connection_pool
        return RedisStorage("redis://", connection_pool=pool, key_prefix=_PREFIX)
