"""`purge restore`: archived conversations back where they were, and safe from the next night's purge."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import to_epoch_ms
from chatctl.domain.plans import fingerprint
from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import ChatctlError, IntegrityError, MissingEntityError, NotFoundError, UnfinishedRunError
from chatctl.services.purge.target import PURGE_LOCK, PurgeTarget
from chatctl.stores.sql.batches import BatchRunner, Pace, RunTotals
from chatctl.stores.sql.batches.ranges import Ranges
from chatctl.stores.sql.journal import Run, RunStatus
from chatctl.stores.sql.locks import RunLock
from chatctl.stores.sql.purge.archives import Archive
from chatctl.stores.sql.purge.records import Record
from chatctl.stores.sql.purge.restoring import ArchiveReader, RestoreWork, Wanted

KIND = "purge restore"

_NAMED = 20


@dataclass(frozen=True)
class RestoreRequest:
    """What to bring back: of one run (the last that archived anything, where nothing else is said), and of whom."""

    run_id: str | None = None
    wanted: Wanted = field(default_factory=Wanted)

    @classmethod
    def of(
        cls, run_id: str | None, chat: str | None = None, account: str | None = None, user: str | None = None
    ) -> RestoreRequest:
        """A request for what all of these that are given have in common."""
        return cls(run_id, Wanted(chat, account, user))

    def as_json(self) -> dict[str, Any]:
        """For the journal, where no names are left behind: a digest stands for what was wanted."""
        return {"run": self.run_id, "wanted": fingerprint(self.wanted.__dict__)}


def restore(
    target: PurgeTarget, request: RestoreRequest, progress: Progress, stop: StopSignal, *, dry_run: bool = False
) -> Result:
    """Restores what `request` means; what is there already stays as it is.

    A conversation in whose place stands another is a conflict, and stays archived. Raises NotFoundError where
    nothing is archived or an archive is gone, IntegrityError where one is damaged; then nothing was restored.
    """
    target.require_database()
    if dry_run:
        with target.database.connect() as connection:
            return _foreseen(target, connection, request)
    target.prepare()
    with RunLock(target.journal, PURGE_LOCK) as lock:
        with target.database.connect() as connection:
            archives = _archives(target, connection, request)
            unfinished = target.journal.runs.unfinished(connection, KIND, target.layout.name, PURGE_LOCK)
        if unfinished is not None and unfinished.options != request.as_json():
            raise UnfinishedRunError(f"Run {unfinished.id} is an unfinished restore of something else.")
        return _Restore(target, request, archives, progress, stop).carry_out(unfinished, lock)


def _archives(target: PurgeTarget, connection: sa.Connection, request: RestoreRequest) -> list[Archive]:
    """The archives to look through, newest first, each found to be what was written."""
    listed = target.archives.all(connection, request.run_id)
    if request.run_id is None and request.wanted.all and listed:
        newest = max(listed, key=lambda archive: archive.made_ms).run_id
        listed = [archive for archive in listed if archive.run_id == newest]
    if not listed:
        which = f"run {request.run_id}" if request.run_id else "any run"
        raise NotFoundError(f"Nothing is archived of {which}.", hint="chatctl purge status shows the runs.")
    for archive in listed:
        target.archives.verify(connection, archive)
    return sorted(listed, key=lambda archive: (archive.made_ms, archive.number), reverse=True)


def _foreseen(target: PurgeTarget, connection: sa.Connection, request: RestoreRequest) -> Result:
    if not target.journal.exists(connection):
        raise NotFoundError("Nothing is archived.")
    archives = _archives(target, connection, request)
    reader = ArchiveReader(target.conversations(connection), target.archives)
    names: set[str] = set()
    for archive in archives:
        header, records = reader.open(connection, archive)
        names |= set(reader.chosen(header, list(records), request.wanted).values())
    return Result({**_summary(archives), "archived_chats": len(names), "dry_run": True})


class _Restore:
    def __init__(
        self,
        target: PurgeTarget,
        request: RestoreRequest,
        archives: Sequence[Archive],
        progress: Progress,
        stop: StopSignal,
    ) -> None:
        self._target = target
        self._request = request
        self._archives = archives
        self._progress = progress
        self._stop = stop

    def carry_out(self, unfinished: Run | None, lock: RunLock) -> Result:
        run = self._begin(unfinished)
        try:
            work, totals = self._bring_back(run, lock)
        except BaseException as problem:
            with contextlib.suppress(ChatctlError):
                self._finish(run, RunStatus.INTERRUPTED, {}, str(problem))
            raise
        data, conflicts = self._data(work, totals), work.restored.conflicts
        status = RunStatus.PARTIAL if conflicts else RunStatus.DONE
        self._finish(run, status if totals.finished else RunStatus.INTERRUPTED, data, None)
        if not totals.finished:
            return Result(data, Outcome.INTERRUPTED, run.id)
        if not (work.restored.chats or work.restored.already_there or conflicts) and not self._request.wanted.all:
            raise NotFoundError("None of the archived conversations is what was asked for.")
        if conflicts:
            outcome = Outcome.PARTIAL if data["restored_chats"] else Outcome.FINDINGS
            return Result(data, outcome, run.id, errors=(_conflict(conflicts),))
        return Result(data, run_id=run.id)

    def _begin(self, unfinished: Run | None) -> Run:
        journal = self._target.journal
        with journal.database.begin() as connection:
            if unfinished is not None:
                return journal.runs.resume(connection, unfinished)
            layout = self._target.layout.name
            run = journal.runs.start(connection, KIND, layout, PURGE_LOCK, self._request.as_json())
            Ranges(journal).add(connection, run.id, [{}])
            return run

    def _bring_back(self, run: Run, lock: RunLock) -> tuple[RestoreWork, RunTotals]:
        database, holds = self._target.database, self._target.holds
        with database.connect() as connection:
            on = self._target.conversations(connection)
            until = to_epoch_ms(self._target.now(connection) + self._target.retention.longest)

        def protect(connection: sa.Connection, names: Sequence[str]) -> None:
            holds.exempt(connection, names, run.id, until)

        reader = ArchiveReader(on, self._target.archives)
        wanted = self._request.wanted
        work = RestoreWork(reader, on, database.dialect, self._archives, wanted, protect, self._bring_back_session)
        self._progress.start(sum(archive.chats for archive in self._archives), "conversations")
        runner = BatchRunner(
            self._target.journal,
            run.id,
            work,
            pace=Pace(fixed=1),
            progress=self._progress,
            stop=self._stop,
            guard=lock.check,
            alone=True,
        )
        return work, runner.run()

    def _bring_back_session(self, record: Record) -> str:
        if self._target.sessions is None:
            raise MissingEntityError(
                "The archive holds sessions of Redis, and no Redis is configured.", hint="redis.url, or --redis URL"
            )
        return self._target.sessions.restore(record.session)

    def _finish(self, run: Run, status: RunStatus, totals: Mapping[str, Any], error: str | None) -> None:
        # A conversation's name may be a user's: the journal keeps counts.
        kept = {name: value for name, value in totals.items() if name != "conflicts"}
        with self._target.database.begin() as connection:
            self._target.journal.runs.finish(connection, run.id, status, kept, error)

    def _data(self, work: RestoreWork, totals: RunTotals) -> dict[str, Any]:
        counts = totals.counts
        restored = counts.get("restored", 0)
        rows = sum(count for name, count in counts.items() if name.startswith("restored_"))
        return {
            **_summary(self._archives),
            "restored_chats": restored,
            "restored_messages": rows - restored,
            "already_there": len(work.restored.already_there),
            "conflicts": work.restored.conflicts[:_NAMED],
            "seconds": round(totals.seconds, 3),
            "dry_run": False,
        }


def _summary(archives: Sequence[Archive]) -> dict[str, Any]:
    return {"runs": sorted({archive.run_id for archive in archives}), "archives": len(archives)}


def _conflict(names: Sequence[str]) -> Notice:
    return Notice.of(
        IntegrityError(
            f"{len(names):,} archived conversations stay archived: others of their IDs are there.",
            hint="What is there is never overwritten. Give it another ID, or delete it, then restore again.",
        )
    )
