"""What is known of each counter: its value, and the highest number that Redis and SQL bear witness to. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chatctl.domain.counters import CounterReading, CounterState, HighWater, IssuedIds, Raised
from chatctl.domain.session_ids import Scope, parse_scope_name


class Counters(Protocol):
    """The counters in Redis."""

    def scopes(self) -> Iterator[Scope]:
        """The scopes that have a counter."""

    def strangers(self) -> Iterator[str]:
        """Keys that are named like counters of nothing."""

    def read(self, scopes: Sequence[Scope]) -> Iterator[CounterReading]:
        """The counters of these scopes, there or not."""

    def raise_to(self, scope: Scope, number: int, *, replace_invalid: bool = False) -> Raised | None:
        """Raises the counter, never lowers it; None where its value is no count."""


class Census(Protocol):
    """What a look at every chat in Redis found."""

    highest: dict[Scope, int]
    misnamed: list[tuple[str, str]]
    foreign: list[str]
    claims: dict[str, set[str]]
    owners: dict[str, str]
    records: int


class CensusTaker(Protocol):
    """Where counters and chats are."""

    @property
    def counters(self) -> Counters:
        """The counters."""

    def census(self) -> Census:
        """A look at every chat."""


@dataclass(frozen=True)
class Standing:
    """One counter, and the highest numbers issued in its scope (None: no witness)."""

    reading: CounterReading
    highest_in_redis: int | None
    highest_in_sql: int | None

    @property
    def scope(self) -> Scope:
        """What it counts."""
        return self.reading.scope

    @property
    def highest(self) -> int:
        """The highest number issued, 0 where there is none."""
        return max(self.highest_in_redis or 0, self.highest_in_sql or 0)

    @property
    def state(self) -> CounterState:
        """How the counter stands against it."""
        return self.reading.state(self.highest)

    def as_json(self) -> dict[str, Any]:
        """The counter as `counters check` shows it; `ttl` in seconds."""
        reading = self.reading
        return {
            "key": reading.key,
            "scope": self.scope.name,
            "value": reading.value if reading.number is None else reading.number,
            "ttl": reading.ttl_seconds,
            "max_issued_redis": self.highest_in_redis,
            "max_issued_sql": self.highest_in_sql,
            "state": self.state.value,
        }


@dataclass(frozen=True)
class Evidence:
    """Every counter with its witnesses, in the order of scopes, and the census that they come from."""

    standings: list[Standing]
    census: Census
    strangers: list[str] = field(default_factory=list)


def gather(stores: CensusTaker, high_water: HighWater, archives: Iterable[IssuedIds]) -> Evidence:
    """Looks everywhere. The counters are read last: what is issued meanwhile can't make one look behind."""
    in_sql = issued_in_sql(high_water, archives)
    census = stores.census()
    scopes = sorted({*stores.counters.scopes(), *census.highest, *in_sql}, key=lambda scope: scope.sort_key)
    standings = [
        Standing(reading, _highest_in_redis(reading, census), in_sql.get(reading.scope))
        for reading in stores.counters.read(scopes)
    ]
    return Evidence(standings, census, sorted(stores.counters.strangers()))


def issued_in_sql(high_water: HighWater, archives: Iterable[IssuedIds]) -> dict[Scope, int]:
    """The highest number that SQL bears witness to, by scope: marked as issued, or standing in an archive."""
    highest = {parse_scope_name(name): number for name, number in high_water.issued().items() if number}
    for archive in archives:
        for session in archive.session_ids():
            if session.number > highest.get(session.scope, 0):
                highest[session.scope] = session.number
    return highest


def _highest_in_redis(reading: CounterReading, census: Census) -> int | None:
    return max(census.highest.get(reading.scope, 0), reading.guarded or 0) or None
