"""`sessions archive`: idle sessions move from Redis to SQL, and back.

A session leaves the one place only when the other has it, committed, read back and equal. In between it is in both;
then the one in Redis counts, since users may have gone on writing to it. So a kill at any step loses nothing and
doubles nothing, and running the command again finishes what was begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from chatctl.domain.counters import HighWater
from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.domain.session_ids import LegacyId, SessionId, highest_numbers, parse_session
from chatctl.domain.sessions import StoredSession
from chatctl.errors import IntegrityError, NotFoundError
from chatctl.observe.fail_points import fail_point

Id = SessionId | LegacyId

#: Sessions that are moved at once, in one transaction.
BATCH = 200


class Sessions(Protocol):
    """The sessions in Redis."""

    def ids(self) -> Iterator[Id]:
        """Every session."""

    def get_many(self, sessions: Sequence[Id]) -> list[StoredSession]:
        """Sessions with their histories."""

    def withdraw(self, stored: StoredSession) -> str:
        """Takes a session out where it still is exactly so: `gone`, `absent` or `changed`."""

    def restore(self, stored: StoredSession) -> str:
        """Puts a session back: `restored`, `same` or `different`."""


class Archive(Protocol):
    """The sessions in SQL."""

    def require(self) -> None:
        """Raises MissingEntityError where its tables aren't there."""

    def save(self, sessions: Sequence[StoredSession], now: datetime) -> None:
        """Writes sessions, in the place of earlier copies."""

    def load(self, ids: Sequence[str]) -> list[StoredSession]:
        """Those that are archived."""

    def remove(self, ids: Sequence[str]) -> None:
        """Takes sessions out."""

    def ids(self, user: str | None = None) -> list[str]:
        """Every archived session, or a user's."""


@dataclass(frozen=True)
class Surroundings:
    """What a move reports to and is stopped by."""

    progress: Progress
    stop: StopSignal


@dataclass
class _Tally:
    moved: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    messages: int = 0


def archive(
    sessions: Sessions,
    store: Archive,
    high_water: HighWater,
    idle: timedelta,
    now: datetime,
    surroundings: Surroundings,
    *,
    dry_run: bool = False,
) -> Result:
    """Moves sessions that nobody has written to for `idle` before `now` (aware) to SQL.

    One that is written to meanwhile stays, and is counted as changed. Raises IntegrityError where what SQL gives
    back differs from what it was given; then Redis still has it.
    """
    store.require()
    tally = _Tally()
    surroundings.progress.start(None, "sessions")
    interrupted = False
    for scanned in _batches(sessions.ids()):
        # A scan may come across a session twice.
        batch = list(dict.fromkeys(scanned))
        idle_ones = [stored for stored in sessions.get_many(batch) if _is_idle(stored, now - idle)]
        if idle_ones and dry_run:
            tally.moved += [stored.id for stored in idle_ones]
            tally.messages += sum(len(stored.history) for stored in idle_ones)
        elif idle_ones:
            _move(sessions, store, high_water, idle_ones, now, tally)
        surroundings.progress.advance(len(batch))
        interrupted = surroundings.stop.requested
        if interrupted:
            break
    data = {
        "archived": len(tally.moved),
        "messages": tally.messages,
        "changed_meanwhile": tally.changed,
        "idle_seconds": idle.total_seconds(),
        "dry_run": dry_run,
    }
    return Result(data, Outcome.INTERRUPTED if interrupted else Outcome.DONE)


def restore(
    sessions: Sessions, store: Archive, wanted: Sequence[str], surroundings: Surroundings, *, dry_run: bool = False
) -> Result:
    """Moves archived sessions (all of them where none is named) back to Redis.

    Raises NotFoundError where one is neither archived nor in Redis already. One whose ID is taken in Redis by
    something else stays archived and is an error of its own.
    """
    store.require()
    ids = list(wanted) or store.ids()
    _require_known(sessions, store, wanted)
    tally, conflicts, interrupted = _Tally(), [], False
    surroundings.progress.start(len(ids), "sessions")
    for batch in _batches(iter(ids)):
        for stored in store.load(batch):
            if not dry_run and sessions.restore(stored) == "different" and not _newer(sessions, stored):
                conflicts.append(stored.id)
                continue
            fail_point("restore.restored")
            tally.moved.append(stored.id)
            tally.messages += len(stored.history)
        if not dry_run:
            fail_point("restore.before-remove")
            store.remove([text for text in batch if text not in conflicts])
        surroundings.progress.advance(len(batch))
        interrupted = surroundings.stop.requested
        if interrupted:
            break
    errors = tuple(_conflict(text) for text in conflicts)
    data = {"restored": len(tally.moved), "messages": tally.messages, "conflicts": conflicts, "dry_run": dry_run}
    return Result(data, _outcome(interrupted=interrupted, moved=bool(tally.moved), failed=bool(errors)), errors=errors)


def _move(
    sessions: Sessions,
    store: Archive,
    high_water: HighWater,
    batch: Sequence[StoredSession],
    now: datetime,
    tally: _Tally,
) -> None:
    store.save(batch, now)
    fail_point("archive.saved")
    _verify(batch, store.load([stored.id for stored in batch]))
    # Once they are gone from Redis nothing there tells that these numbers were issued.
    high_water.observe(highest_numbers(stored.id for stored in batch))
    stale = []
    for stored in batch:
        fail_point("archive.before-withdraw")
        if sessions.withdraw(stored) == "changed":
            stale.append(stored.id)
        else:
            tally.moved.append(stored.id)
            tally.messages += len(stored.history)
    if stale:
        store.remove(stale)
        tally.changed += stale


def _verify(given: Sequence[StoredSession], found: Sequence[StoredSession]) -> None:
    if list(given) != list(found):
        wrong = [session.id for session in given if session not in found]
        raise IntegrityError(
            f"The archive gave back something else than it was given for {', '.join(wrong[:5])}.",
            hint="Redis still has these sessions; nothing was lost.",
        )


def _is_idle(stored: StoredSession, since: datetime) -> bool:
    last = stored.last_active
    return last is not None and last < since


def _newer(sessions: Sessions, archived: StoredSession) -> bool:
    """Whether Redis holds the same session, gone on since: then an archiving was interrupted after its copy."""
    return any(
        all(stored.fields.get(key) == archived.fields.get(key) for key in ("user_id", "created_at"))
        for stored in sessions.get_many([parse_session(archived.id)])
    )


def _require_known(sessions: Sessions, store: Archive, wanted: Sequence[str]) -> None:
    ids = [parse_session(text) for text in wanted]
    archived = {stored.id for stored in store.load([str(session) for session in ids])} if ids else set()
    missing = [session for session in ids if str(session) not in archived]
    present = {stored.id for stored in sessions.get_many(missing)}
    for session in missing:
        if str(session) not in present:
            raise NotFoundError(f"There is no archived session {session}.", hint="chatctl sessions list")


def _conflict(text: str) -> Notice:
    return Notice.of(
        IntegrityError(
            f"Session {text} stays archived: Redis holds another session of that ID.",
            hint="chatctl counters check shows whose it is.",
        )
    )


def _outcome(*, interrupted: bool, moved: bool, failed: bool) -> Outcome:
    if interrupted:
        return Outcome.INTERRUPTED
    if failed:
        return Outcome.PARTIAL if moved else Outcome.FINDINGS
    return Outcome.DONE


def _batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(items, BATCH)):
        yield batch
