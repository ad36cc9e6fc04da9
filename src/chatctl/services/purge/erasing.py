"""`purge --erase-user`: everything of one user, live and archived, whatever the minimum, but never against a hold."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import to_epoch_ms
from chatctl.domain.plans import fingerprint
from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Outcome, Result
from chatctl.errors import ChatctlError, IntegrityError, UsageError
from chatctl.services.purge.planning import message_part
from chatctl.services.purge.sessions import BOUNDS, FIRST_NUMBER, SessionWork
from chatctl.services.purge.target import PURGE_LOCK, PurgeTarget
from chatctl.services.purge.users import UserConversations, everything_of
from chatctl.services.purge.works import BothWorks
from chatctl.stores.sql.batches import BatchRunner, Pace, RunTotals
from chatctl.stores.sql.batches.ranges import Ranges
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.locks import RunLock
from chatctl.stores.sql.purge.archives import Archive
from chatctl.stores.sql.purge.erasure import UserRows, erase_from_archive
from chatctl.stores.sql.purge.own_traces import OwnTraces
from chatctl.stores.sql.purge.restoring import ArchiveReader
from chatctl.stores.sql.purge.work import LARGEST_BATCH, PurgeWork
from chatctl.stores.sql.session_archive import SessionArchive

KIND = "purge erase"


@dataclass(frozen=True)
class Attendance:
    """Who watches an erasure, who may stop it, and who has to agree to so many conversations."""

    progress: Progress
    stop: StopSignal
    agree: Callable[[int], None] = lambda conversations: None


def erase(target: PurgeTarget, user: str, attendance: Attendance, *, dry_run: bool = False) -> Result:
    """Erases all of `user`: conversations, rows, sessions and keys in Redis, archives, names in the record of holds.

    Safe to repeat. Raises RefusedError where a hold protects any of it: then nothing is erased.
    """
    if not user:
        raise UsageError("An erasure needs a user.")
    target.require_database()
    with target.database.connect() as connection:
        found = UserConversations(target, connection, user)
        found.refuse_held(target.holds.peek(connection, to_epoch_ms(target.now(connection))))
        conversations = found.conversations()
    if dry_run:
        return Result({"erased": False, "conversations": conversations, "dry_run": True})
    attendance.agree(conversations)
    target.prepare()
    with RunLock(target.journal, PURGE_LOCK) as lock:
        with target.database.connect() as connection:
            found = UserConversations(target, connection, user)
            found.refuse_held(target.holds.peek(connection, to_epoch_ms(target.now(connection))))
            named = found.named_by_holds()
        with target.database.begin() as connection:
            target.holds.forget(connection, user, named)
        return _Erasure(target, user, attendance).carry_out(lock)


class _Erasure:
    def __init__(self, target: PurgeTarget, user: str, attendance: Attendance) -> None:
        self._target = target
        self._user = user
        self._attendance = attendance

    def carry_out(self, lock: RunLock) -> Result:
        run = self._begin()
        try:
            work, totals = self._delete(run, lock)
            data = self._conversations(work, totals)
            if totals.finished:
                data |= self._rest()
        except BaseException as problem:
            with contextlib.suppress(ChatctlError):
                self._finish(run, RunStatus.INTERRUPTED, {}, type(problem).__name__)
            raise
        data["erased"] = totals.finished
        self._finish(run, RunStatus.DONE if totals.finished else RunStatus.INTERRUPTED, data, None)
        return Result(data, Outcome.DONE if totals.finished else Outcome.INTERRUPTED, run.id)

    def _begin(self) -> Run:
        journal, options = self._target.journal, {"user": fingerprint({"user": self._user})}
        with journal.database.begin() as connection:
            layout = self._target.layout.name
            found = journal.runs.unfinished(connection, KIND, layout, PURGE_LOCK)
            if found is not None and found.options == options:
                return journal.runs.resume(connection, found)
            run = journal.runs.start(connection, KIND, layout, PURGE_LOCK, options)
            Ranges(journal).add(connection, run.id, [{}] if self._target.sessions is None else [{}, BOUNDS])
            return run

    def _delete(self, run: Run, lock: RunLock) -> tuple[BothWorks, RunTotals]:
        target, attendance = self._target, self._attendance
        with target.database.connect() as connection:
            on, selection = target.conversations(connection), everything_of(target, connection, self._user)
        rows = PurgeWork(on, selection, target.tools, run.id, None)
        sessions = None
        if target.sessions is not None:
            sessions = SessionWork(
                target.sessions,
                selection,
                target.tools,
                target.database,
                target.layout.name,
                run.id,
                None,
                FIRST_NUMBER,
            )
        work = BothWorks(rows, sessions)
        attendance.progress.start(None, "conversations")
        pace = Pace(largest=LARGEST_BATCH)
        runner = BatchRunner(
            target.journal,
            run.id,
            work,
            pace=pace,
            progress=attendance.progress,
            stop=attendance.stop,
            guard=lock.check,
            alone=True,
        )
        return work, runner.run()

    def _conversations(self, work: BothWorks, totals: RunTotals) -> dict[str, Any]:
        with self._target.database.connect() as connection:
            messages = message_part(self._target.conversations(connection))
        counts = totals.counts
        return {
            "deleted_chats": counts.get("deleted", 0) + work.sessions_deleted,
            "deleted_messages": counts.get(f"deleted_{messages}", 0) + work.sessions_messages,
            "other_rows": {},
            "archives_rewritten": 0,
            "redis_keys": 0,
        }

    def _rest(self) -> dict[str, Any]:
        """All but the conversations. Each part is safe to repeat, so an interrupted erasure is simply run again."""
        rewritten = self._erase_from_archives()
        database, target = self._target.database, self._target
        with database.begin() as connection:
            self._refuse_held(connection, [])
            rows, own = UserRows(target.layout, connection), OwnTraces(target.journal, connection)
            touched = rows.erase(connection, self._user) | own.erase(connection, self._user)
            if SessionArchive.declared_by(target.layout):
                SessionArchive(database, target.layout).forget_guest(connection, self._user)
        keys = target.traces.erase(self._user) if target.traces is not None else 0
        with database.connect() as connection:
            left = rows.left(connection, self._user) + own.left(connection, self._user)
            if left or UserConversations(target, connection, self._user).conversations():
                raise IntegrityError(
                    "Rows of the user came, or came under a hold, while they were being erased.",
                    hint="Run the same command again.",
                )
        return {"other_rows": touched, "archives_rewritten": rewritten, "redis_keys": keys}

    def _refuse_held(self, connection: sa.Connection, archives: Sequence[Archive]) -> None:
        """Looks again for what came under a hold since; nobody adds one until the transaction ends."""
        holds = self._target.holds.in_force(connection, to_epoch_ms(self._target.now(connection)))
        UserConversations(self._target, connection, self._user).refuse_held(holds, archives, begun=True)

    def _erase_from_archives(self) -> int:
        target, rewritten = self._target, 0
        archives = target.archives
        with target.database.connect() as connection:
            reader = ArchiveReader(target.conversations(connection), archives)
            listed = archives.all(connection)
        for archive in listed:
            with target.database.begin() as connection:
                self._refuse_held(connection, [archive])
                old = erase_from_archive(connection, archives, reader, archive, self._user)
            rewritten += old is not None
        with target.database.connect() as connection:
            # What was replaced, and what tries left that never committed: copies that nobody would find again.
            archives.remove_unlisted(connection)
        return rewritten

    def _finish(self, run: Run, status: RunStatus, totals: dict[str, Any], error: str | None) -> None:
        with self._target.database.begin() as connection:
            self._target.journal.runs.finish(connection, run.id, status, totals, error)
