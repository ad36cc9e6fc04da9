"""Every key of the databases that a layout uses, as DUMP gives it, and back by RESTORE. Counters are raised elsewhere.

What is chatctl's own (guards, requests) is neither read nor written: it belongs to one life of a server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from redis.exceptions import ResponseError

from chatctl.errors import ConfigurationError, DatabaseError
from chatctl.observe.fail_points import fail_point
from chatctl.stores.redis import failures
from chatctl.stores.redis.client import Client, RedisServers
from chatctl.stores.redis.keys import Keys
from chatctl.stores.redis.records import KeyRecord, Loaded

_SCAN_COUNT = 1_000
_PIPELINE = 200
_OWN = "chatctl:"
_PAUSES_FROM = 7
#: These are raised, never replaced.
COUNTER_FAMILIES = ("counter_general", "counter_project")


class RedisSnapshot:
    """The keys behind `servers`, in the databases of `keys`."""

    def __init__(self, servers: RedisServers, keys: Keys) -> None:
        self._servers = servers
        self._keys = keys

    @property
    def databases(self) -> list[int]:
        """The numbers of the databases that the layout uses."""
        return sorted({self._keys.db(family) for family in self._keys.templates})

    def version(self) -> str:
        """The server's version."""
        info = self._servers.attempt(lambda: next(iter(self._servers.masters())).info("server"))
        return str(info.get("redis_version", "unknown"))

    def records(self) -> Iterator[KeyRecord]:
        """Every key, in no order; one may come twice, as SCAN does it."""
        for db in self.databases:
            for client in self._servers.masters(db):
                for names in _batches(self._scan(client), _PIPELINE):
                    yield from self._servers.attempt(partial(_dump, client, db, names))

    def counted(self) -> dict[int, int]:
        """The keys in each database, chatctl's own left out."""
        return {db: sum(1 for client in self._servers.masters(db) for _ in self._scan(client)) for db in self.databases}

    def occupied(self) -> bool:
        """Whether there is any key, the layout's or another application's: a restore may replace it."""
        return any(True for db in self.databases for client in self._servers.masters(db) for _ in self._scan(client))

    def clear(self) -> None:
        """Removes every key of the layout's, counters left out."""
        for family in self._keys.templates:
            if family in COUNTER_FAMILIES:
                continue
            client = self._servers.client(self._keys.db(family))
            for names in _batches(self._of(family), _PIPELINE):
                self._servers.attempt(partial(_unlink, client, names))
                fail_point("restore.redis_cleared")

    def load(self, records: Iterable[KeyRecord], *, replace: bool) -> Loaded:
        """Puts keys back, counters left out; those that have expired stay away.

        Raises ConfigurationError where the server is too old for what a newer one dumped.
        """
        loaded = Loaded()
        now_ms = time.time_ns() // 1_000_000
        for batch in _batches(records, _PIPELINE):
            alive = [record for record in batch if record.expires_ms is None or record.expires_ms > now_ms]
            loaded.expired += len(batch) - len(alive)
            for db in {record.db for record in alive}:
                part = [record for record in alive if record.db == db and not self._is_counter(record)]
                self._restore(self._servers.client(db), part, loaded, replace=replace)
            fail_point("restore.redis_loaded")
        return loaded

    @contextmanager
    def writes_paused(self, milliseconds: int | None) -> Iterator[Callable[[], bool]]:
        """Holds back every write for at most so long (None: not at all): CLIENT PAUSE … WRITE.

        What it yields tells whether they have been held back until now. Raises ConfigurationError where the server is
        too old: before Redis 7 it would hold back scripts that only read, and so ourselves.
        """
        if milliseconds is None:
            yield lambda: False
            return
        version = self.version()
        if int(version.partition(".")[0]) < _PAUSES_FROM:
            raise ConfigurationError(
                f"{self._servers.where} is Redis {version}; --pause-writes needs Redis {_PAUSES_FROM} or newer.",
                hint="Leave it out: a counter in a backup is never behind an ID in it.",
            )
        ends = time.monotonic() + milliseconds / 1000
        clients = list(self._servers.masters())
        for client in clients:
            self._servers.attempt(partial(client.execute_command, "CLIENT", "PAUSE", milliseconds, "WRITE"))
        try:
            yield lambda: time.monotonic() < ends
        finally:
            for client in clients:
                self._servers.attempt(partial(client.execute_command, "CLIENT", "UNPAUSE"))

    def _scan(self, client: Client, pattern: str = "*") -> Iterator[str]:
        with self._servers.translating():
            for name in client.scan_iter(match=pattern, count=_SCAN_COUNT):
                if not _is_own(name):
                    yield name

    def _of(self, family: str) -> Iterator[str]:
        for client in self._servers.masters(self._keys.db(family)):
            for name in self._scan(client, self._keys.pattern(family)):
                if self._keys.parse(family, name) is not None:
                    yield name

    def _is_counter(self, record: KeyRecord) -> bool:
        return any(
            record.db == self._keys.db(family) and self._keys.parse(family, record.key) is not None
            for family in COUNTER_FAMILIES
            if family in self._keys.templates
        )

    def _restore(self, client: Client, records: Sequence[KeyRecord], loaded: Loaded, *, replace: bool) -> None:
        def work() -> list[Any]:
            with client.pipeline(transaction=False) as pipeline:
                for record in records:
                    # RESTORE needs a 0 for a key that never expires.
                    pipeline.restore(
                        record.key,
                        record.expires_ms or 0,
                        record.value,
                        replace=replace,
                        absttl=record.expires_ms is not None,
                    )
                answers: list[Any] = pipeline.execute(raise_on_error=False)
                return answers

        for answer in self._servers.attempt(work) if records else ():
            if isinstance(answer, ResponseError) and "BUSYKEY" in str(answer):
                loaded.repeated += 1
            elif isinstance(answer, Exception):
                raise self._refused(answer)
            else:
                loaded.restored += 1

    def _refused(self, problem: Exception) -> Exception:
        if "DUMP payload version or checksum" in str(problem):
            return ConfigurationError(
                f"{self._servers.where}: this server can't read what the backup's server dumped.",
                hint="Restore into the same version of Redis or a newer one.",
            )
        translated = failures.translate(problem, self._servers.where)
        return translated if not isinstance(translated, DatabaseError) else DatabaseError(translated.message)


def _dump(client: Client, db: int, names: Sequence[str]) -> list[KeyRecord]:
    with client.pipeline(transaction=False) as pipeline:
        pipeline.time()
        for name in names:
            pipeline.dump(name)
            pipeline.pttl(name)
        (seconds, microseconds), *answers = pipeline.execute()
    now_ms = seconds * 1000 + microseconds // 1000
    found = []
    for name, value, ttl_ms in zip(names, answers[::2], answers[1::2], strict=True):
        # A key that has gone since SCAN named it has no value.
        if value is not None:
            plain = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            found.append(KeyRecord(db, name, now_ms + ttl_ms if ttl_ms >= 0 else None, plain))
    return found


def _unlink(client: Client, names: Sequence[str]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.unlink(name)
        pipeline.execute()


def _is_own(name: str) -> bool:
    return name.startswith(_OWN) or f":{_OWN}" in name


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
