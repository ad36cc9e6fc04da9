"""`purge hold`: what no purge may touch, by whom, why and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from chatctl.domain.instants import from_epoch_ms, iso, to_epoch_ms
from chatctl.domain.result import Notice, Result
from chatctl.domain.retention import Hold, HoldKind, Holds
from chatctl.errors import UsageError
from chatctl.services.purge.target import PurgeRequest, PurgeTarget
from chatctl.stores.sql.journal.runs import whoami
from chatctl.stores.sql.purge.eligibility import Eligibility
from chatctl.stores.sql.purge.holds import new_hold


def add(
    target: PurgeTarget,
    kind: HoldKind,
    value: str,
    reason: str,
    author: str | None,
    expires: timedelta | None,
    *,
    dry_run: bool = False,
) -> Result:
    """Holds a chat, or all of a user, account or project. Once it returns, no batch deletes what it protects.

    With `dry_run` it says what it would protect, and nothing is recorded.

    Raises MissingEntityError or IntegrityError where the layout's conversations don't tell a `kind`.
    """
    if not value or not reason.strip():
        raise UsageError("A hold needs what it is on, and a reason.", hint="--reason TEXT")
    if expires is not None and expires <= timedelta(0):
        raise UsageError("A hold that expires at once holds nothing.")
    target.require_database()
    matches = _matches(target, kind, value)
    if not dry_run:
        target.prepare()
    with target.database.connect() if dry_run else target.database.begin() as connection:
        until = to_epoch_ms(target.now(connection) + expires) if expires else None
        hold = new_hold(kind, value, reason, author or whoami(), until)
        if not dry_run:
            target.holds.record(connection, hold)
        now_ms = to_epoch_ms(target.now(connection))
    warnings = () if matches else (_matches_nothing(kind, value),)
    return Result({**_shown(hold, now_ms), "matches": matches, "dry_run": dry_run}, warnings=warnings)


def list_holds(target: PurgeTarget, *, released: bool = False) -> Result:
    """The holds in force; with `released` those that no longer hold too."""
    target.require_database()
    with target.database.connect() as connection:
        now_ms = to_epoch_ms(target.now(connection))
        holds = target.holds.all(connection) if target.journal.exists(connection) else []
    shown = [_shown(hold, now_ms) for hold in holds if released or hold.holds_at(now_ms)]
    return Result({"holds": shown})


def release(target: PurgeTarget, hold_id: str, *, dry_run: bool = False) -> Result:
    """Ends a hold, which stays on record; with `dry_run` only shows it. Raises NotFoundError."""
    target.require_database()
    if not dry_run:
        target.prepare()
    with target.database.connect() if dry_run else target.database.begin() as connection:
        hold = (target.holds.get if dry_run else target.holds.release)(connection, hold_id)
        now_ms = to_epoch_ms(target.now(connection))
    return Result({**_shown(hold, now_ms), "dry_run": dry_run})


def _matches(target: PurgeTarget, kind: HoldKind, value: str) -> int:
    """How many conversations the hold would protect; raises where nobody could tell."""
    import sqlalchemy as sa

    with target.database.connect() as connection:
        on = target.conversations(connection)
        now = target.now(connection)
        eligibility = Eligibility(on, PurgeRequest().selection(target, now, now), target.database.dialect)
        held = eligibility.held(Holds({kind: frozenset({value})}))
        return connection.scalar(sa.select(sa.func.count()).select_from(on.what.table).where(held)) or 0


def _matches_nothing(kind: str, value: str) -> Notice:
    hint = "It protects whatever comes under that name. chatctl purge hold release ends it."
    return Notice("hold_matches_nothing", f"No conversation is of the {kind} '{value}' now.", hint)


def _shown(hold: Hold, now_ms: int) -> dict[str, Any]:
    return {
        "id": hold.id,
        "kind": hold.kind,
        "value": hold.value,
        "reason": hold.reason,
        "author": hold.author,
        "state": _state(hold, now_ms),
        "created": iso(hold.created_ms),
        "expires": iso(hold.expires_ms),
        "released": iso(hold.released_ms),
        "released_by": hold.released_by,
    }


def _state(hold: Hold, now_ms: int) -> str:
    if hold.released_ms is not None:
        return "released"
    return "in force" if hold.holds_at(now_ms) else "expired"


def expiry(text: str | None, now: datetime) -> timedelta | None:
    """How long a hold lasts that expires in `90d` or on `2027-01-31` (UTC, at the day's end); raises UsageError."""
    if text is None:
        return None
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        from chatctl.domain.durations import parse_duration

        return parse_duration(text)
    moment = day if day.tzinfo else day.replace(tzinfo=now.tzinfo)
    end = moment + timedelta(days=1) if len(text) <= len("2027-01-31") else moment
    return end - from_epoch_ms(to_epoch_ms(now))
