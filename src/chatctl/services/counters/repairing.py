"""`counters repair`: raises counters above what was issued, never lowers one, while the system runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chatctl.domain.counters import CounterState, HighWater, IssuedIds, Raised
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.domain.session_ids import MAX_NUMBER, Scope
from chatctl.errors import IntegrityError, UsageError
from chatctl.services.counters.evidence import CensusTaker, Standing, gather


@dataclass(frozen=True)
class RepairRequest:
    """What to repair: these scopes (all where there are none), to this number at least."""

    scopes: tuple[Scope, ...] = ()
    to: int | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.to is not None and len(self.scopes) != 1:
            raise UsageError("--to needs exactly one counter to be named.")
        if self.to is not None and not 1 <= self.to <= MAX_NUMBER:
            raise UsageError(f"--to is a number between 1 and {MAX_NUMBER}.")


def repair(stores: CensusTaker, high_water: HighWater, archives: Iterable[IssuedIds], request: RepairRequest) -> Result:
    """Raises every counter that could issue a number twice. Safe beside live counting, and to repeat.

    Raises UsageError, changing nothing, where `--to` is below the highest number issued.
    """
    wanted = [standing for standing in _standings(stores, high_water, archives, request) if _wants(standing, request)]
    raised: list[dict[str, Any]] = []
    settled: dict[str, int] = {}
    errors: list[Notice] = []
    for standing in wanted:
        target = max(standing.highest, request.to or 0)
        if standing.state is CounterState.INVALID and request.to is None:
            errors.append(_invalid(standing))
            continue
        outcome = _planned(standing, target) if request.dry_run else _raise(stores, standing, target, request)
        if outcome is None:
            errors.append(_invalid(standing))
            continue
        settled[standing.scope.name] = target
        if outcome.changed:
            raised.append({"key": standing.reading.key, "from": _number(outcome.before), "to": int(outcome.after)})
    if not request.dry_run:
        high_water.observe(settled)
    lasting = [standing.reading.key for standing in wanted if standing.reading.ttl_seconds is not None]
    data = {"raised": raised, "made_lasting": lasting, "dry_run": request.dry_run}
    failed = Outcome.PARTIAL if raised else Outcome.FINDINGS
    return Result(data, failed if errors else Outcome.DONE, errors=tuple(errors))


def _standings(
    stores: CensusTaker, high_water: HighWater, archives: Iterable[IssuedIds], request: RepairRequest
) -> list[Standing]:
    found = gather(stores, high_water, archives).standings
    if not request.scopes:
        return found
    known = {standing.scope: standing for standing in found}
    missing = [scope for scope in request.scopes if scope not in known]
    readings = stores.counters.read(missing)
    known |= {reading.scope: Standing(reading, None, None) for reading in readings}
    chosen = [known[scope] for scope in request.scopes]
    for standing in chosen:
        if request.to is not None and request.to < standing.highest:
            raise UsageError(
                f"--to {request.to} is below {standing.highest}, the highest number issued in {standing.scope.name}.",
                hint="A lower counter would issue numbers that exist.",
            )
    return chosen


def _wants(standing: Standing, request: RepairRequest) -> bool:
    if request.to is not None:
        return True
    return standing.state is not CounterState.OK and not (
        standing.state is CounterState.MISSING and not standing.highest
    )


def _raise(stores: CensusTaker, standing: Standing, target: int, request: RepairRequest) -> Raised | None:
    replaceable = request.to is not None and standing.reading.kind == "string"
    return stores.counters.raise_to(standing.scope, target, replace_invalid=replaceable)


def _planned(standing: Standing, target: int) -> Raised:
    value = standing.reading.value
    number = standing.reading.number
    behind = number is None or number < target
    return Raised(value, str(target if behind else number), changed=behind)


def _number(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else text


def _invalid(standing: Standing) -> Notice:
    reading = standing.reading
    return Notice.of(
        IntegrityError(
            f"{reading.key} holds '{reading.value}' ({reading.kind}), which is no count, and is left as it is.",
            hint=f"To replace it: chatctl counters repair {standing.scope.name} --to N, with N at least "
            f"{max(standing.highest, 1)}."
            if reading.kind in ("string", "none")
            else "Find out what wrote it, and remove the key.",
        )
    )
