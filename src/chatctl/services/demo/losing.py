"""`demo lose-counter`: what a Redis that may evict does to a counter, done on purpose."""

from __future__ import annotations

from datetime import UTC, datetime

from chatctl.domain.result import Result
from chatctl.domain.session_ids import Month, Scope
from chatctl.stores.redis.stores import RedisStores


def lose_counter(redis: RedisStores, *, dry_run: bool = False) -> Result:
    """Deletes this month's counter of general sessions; the sessions stay. With `dry_run` only looks for it."""
    place = redis.keys.counter(Scope.general(Month.at(datetime.now(UTC))))
    client = redis.servers.client(place.db)
    found = redis.servers.attempt(lambda: (client.exists if dry_run else client.delete)(place.name))
    return Result({"key": place.name, "deleted": bool(found), "dry_run": dry_run})
