"""`counters list`, `show` and `check`: which counters could issue a number twice, and why. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from chatctl.domain.counters import NEAR_OVERFLOW, CounterReading, CounterState, HighWater, IssuedIds
from chatctl.domain.findings import Finding, Severity, any_fails
from chatctl.domain.result import Outcome, Result
from chatctl.domain.session_ids import Scope
from chatctl.errors import NotFoundError
from chatctl.services.counters.collisions import Sessions, collisions, orphans
from chatctl.services.counters.evidence import CensusTaker, Counters, Evidence, gather, issued_in_sql

_STATES: dict[CounterState, tuple[Severity, str]] = {
    CounterState.BEHIND: (Severity.ERROR, "stands at {value}, but {highest} has been issued"),
    CounterState.MISSING: (Severity.ERROR, "is gone, and {highest} has been issued"),
    CounterState.INVALID: (Severity.ERROR, "holds '{value}' ({kind}), which is no count"),
    CounterState.VOLATILE: (Severity.WARNING, "expires in {ttl:.0f} seconds, and would begin again at 1"),
}


class ServerFacts(Protocol):
    """How one server keeps its data."""

    @property
    def where(self) -> str:
        """Which server it is."""

    @property
    def eviction_policy(self) -> str:
        """What it does when memory is full."""

    @property
    def persistent(self) -> bool:
        """Whether anything survives a restart."""


class Stores(CensusTaker, Protocol):
    """Redis, as far as a check needs it."""

    @property
    def sessions(self) -> Sessions:
        """The sessions."""

    def facts(self) -> Sequence[ServerFacts]:
        """How each server keeps its data."""


def list_counters(counters: Counters) -> Result:
    """Every counter that is there, in the order of scopes."""
    scopes = sorted(counters.scopes(), key=lambda scope: scope.sort_key)
    return Result({"counters": [_plain(reading) for reading in counters.read(scopes)]})


def show(stores: CensusTaker, high_water: HighWater, archives: Iterable[IssuedIds], scope: Scope) -> Result:
    """One counter with its witnesses; raises NotFoundError where nothing knows of it."""
    evidence = gather(stores, high_water, archives)
    for standing in evidence.standings:
        if standing.scope == scope:
            return Result(standing.as_json())
    raise NotFoundError(f"There is no counter for {scope.name}, and no session of it.", hint="chatctl counters list")


def check(stores: Stores, high_water: HighWater, archives: Iterable[IssuedIds]) -> Result:
    """Every counter against the highest number issued, and whatever endangers counting; findings if any."""
    evidence = gather(stores, high_water, archives)
    twice = collisions(evidence.census, stores.sessions)
    findings = [
        *_of_counters(evidence),
        *_of_servers(stores.facts()),
        *_of_chats(evidence),
        *(_collision(item) for item in twice),
    ]
    data = {
        "counters": [standing.as_json() for standing in evidence.standings],
        "sessions": evidence.census.records,
        "collisions": twice,
        "findings": [finding.as_json() for finding in findings],
    }
    return Result(data, Outcome.FINDINGS if any_fails(findings) else Outcome.DONE)


def _plain(reading: CounterReading) -> dict[str, Any]:
    value = reading.value if reading.number is None else reading.number
    return {"key": reading.key, "scope": reading.scope.name, "value": value, "ttl": reading.ttl_seconds}


def _of_counters(evidence: Evidence) -> Iterator[Finding]:
    for standing in evidence.standings:
        reading, state = standing.reading, standing.state
        if state in _STATES:
            severity, text = _STATES[state]
            message = text.format(
                value=reading.value, kind=reading.kind, highest=standing.highest, ttl=reading.ttl_seconds or 0
            )
            fix = f"chatctl counters repair {reading.scope.name}"
            if state is CounterState.INVALID:
                fix += f" --to {standing.highest}"
            yield Finding(f"counter_{state.value}", severity, reading.key, f"The counter {message}.", fix=fix)
        if (reading.number or 0) >= NEAR_OVERFLOW:
            yield Finding(
                "counter_near_overflow",
                Severity.WARNING,
                reading.key,
                f"The counter stands at {reading.number}, near the end of 64 bits.",
                hint="Something has raised it far beyond the sessions that there are.",
            )
    for key in evidence.strangers:
        yield Finding(
            "counter_unknown", Severity.WARNING, key, "The key is named like a counter, but of no month and no project."
        )


def _of_servers(servers: Iterable[ServerFacts]) -> Iterator[Finding]:
    for server in servers:
        if server.eviction_policy != "noeviction":
            yield Finding(
                "eviction_policy",
                Severity.ERROR,
                server.where,
                f"maxmemory-policy is {server.eviction_policy}: when memory is full, counters may be dropped.",
                hint="Keep caches on a server of their own.",
                fix="redis-cli CONFIG SET maxmemory-policy noeviction",
            )
        if not server.persistent:
            yield Finding(
                "no_persistence",
                Severity.ERROR,
                server.where,
                "Nothing is written to disk: a restart loses every counter and session.",
                fix="redis-cli CONFIG SET appendonly yes",
            )


def _of_chats(evidence: Evidence) -> Iterator[Finding]:
    for key, inside in evidence.census.misnamed:
        yield Finding("record_misnamed", Severity.ERROR, key, f"The record says that it is {inside}.")
    for key in evidence.census.foreign:
        yield Finding("record_wrong_type", Severity.ERROR, key, "The key is named like a record, but is no text.")
    for session, user in orphans(evidence.census):
        yield Finding(
            "record_gone", Severity.NOTE, session, f"The session stands in the index of '{user}', but has no record."
        )


def _collision(item: dict[str, Any]) -> Finding:
    users = ", ".join(f"'{user['user']}'" for user in item["users"])
    return Finding(
        "session_claimed_twice",
        Severity.ERROR,
        item["id"],
        f"The number was issued twice: {users} hold the same session.",
        hint="Stop writing to it, decide whose it is by the times, and give the other user a new one.",
    )


__all__ = ["check", "issued_in_sql", "list_counters", "show"]
