"""Sessions in Redis: which may go, archiving and withdrawing them, and putting them back.

Redis knows nothing of SQL's transactions. So a batch's archive and its journal entry are committed first; then, behind
the gate that holds pass, each session is withdrawn by a script that does so only where it still is what was archived.
A kill in between leaves a session both archived and there, and the next purge takes it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import sqlalchemy as sa

from chatctl.domain.instants import to_epoch_ms
from chatctl.domain.retention import Holds
from chatctl.domain.session_ids import LegacyId, SessionId
from chatctl.domain.sessions import StoredSession
from chatctl.observe.fail_points import fail_point
from chatctl.stores.sql.batches.work import BatchOutcome, Position
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.purge.archives import Place
from chatctl.stores.sql.purge.eligibility import Selection
from chatctl.stores.sql.purge.holds import chat_key
from chatctl.stores.sql.purge.records import SESSIONS, Header, Record
from chatctl.stores.sql.purge.work import Tools

Id = SessionId | LegacyId

#: Archives of sessions are numbered from here on, apart from those of rows.
FIRST_NUMBER = 1_000_000
#: What tells the range of sessions from the one of rows.
BOUNDS: Position = {"part": SESSIONS}

_LARGEST = 500


class Sessions(Protocol):
    """The sessions in Redis."""

    def ids(self) -> Iterator[Id]:
        """Every session."""

    def get_many(self, sessions: Sequence[Id]) -> list[StoredSession]:
        """Sessions with their histories."""

    def forget_state(self, stored: StoredSession) -> None:
        """Deletes what is kept while the session is open."""

    def withdraw(self, stored: StoredSession) -> str:
        """Takes a session out where it still is exactly so: `gone`, `absent` or `changed`."""

    def restore(self, stored: StoredSession) -> str:
        """Puts a session back: `restored`, `same` or `different`."""


@dataclass(frozen=True)
class Judge:
    """Says which sessions may go by `selection`."""

    selection: Selection

    def concerns(self, stored: StoredSession) -> bool:
        """Whether the purge is about the session at all."""
        user = _text(stored, "user_id")
        wanted = (self.selection.account, self.selection.user)
        return all(name is None or name == user for name in wanted)

    def may_go(self, stored: StoredSession) -> bool:
        """Whether the session's retention is over. Holds are not looked at."""
        if not self.concerns(stored):
            return False
        return self.selection.everything or self.selection.retention.expired(
            stored.last_active,
            self.selection.now,
            account=_text(stored, "user_id"),
            project=_text(stored, "project_number"),
            chat_type=_text(stored, "chat_type"),
        )

    @staticmethod
    def held(stored: StoredSession, holds: Holds) -> bool:
        """Whether a hold protects it."""
        user = _text(stored, "user_id")
        return holds.protect(chat=stored.id, user=user, account=user, project=_text(stored, "project_number"))


@dataclass(frozen=True)
class SessionFigures:
    """What a plan says of the sessions in Redis."""

    total: int
    eligible: int
    messages: int
    held: int
    restored: int
    without_clock: int
    by_account: Counter[str]


def count_sessions(sessions: Sessions, selection: Selection, tools: Tools, connection: sa.Connection) -> SessionFigures:
    """Looks at every session, in constant memory but for the accounts."""
    judge, now_ms = Judge(selection), to_epoch_ms(selection.now)
    journaled = tools.holds.is_there(connection)
    holds = tools.holds.peek(connection, now_ms)
    total = messages = held = restored = without_clock = 0
    by_account: Counter[str] = Counter()
    for ids in _parts(sessions.ids()):
        stored = [session for session in sessions.get_many(ids) if judge.concerns(session)]
        going = [session for session in stored if judge.may_go(session)]
        back = tools.holds.exempted(connection, [_name(session) for session in going], now_ms) if journaled else set()
        total += len(stored)
        without_clock += sum(session.last_active is None for session in stored)
        for session in going:
            if judge.held(session, holds):
                held += 1
            elif _name(session) in back:
                restored += 1
            else:
                messages += len(session.history)
                by_account[_text(session, "user_id") or ""] += 1
    return SessionFigures(total, by_account.total(), messages, held, restored, without_clock, by_account)


class SessionWork:
    """Purges sessions, as work for the batch mechanism. Every attempt walks them from the beginning."""

    def __init__(
        self,
        sessions: Sessions,
        selection: Selection,
        tools: Tools,
        database: Database,
        layout: str,
        run_id: str,
        place: Place | None,
        first_number: int,
    ) -> None:
        self._sessions = sessions
        self._judge = Judge(selection)
        self._selection = selection
        self._tools = tools
        self._database = database
        self._layout = layout
        self._run_id = run_id
        self._place = place
        self._number = first_number
        self._ids = sessions.ids()
        self._part: list[Id] | None = None
        self._victims: list[StoredSession] = []
        #: How many more may go; None for any number.
        self.left: int | None = None
        self.deleted = 0
        self.messages = 0
        self.changed = 0
        self.by_account: Counter[str] = Counter()

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Archives those of the next sessions that may go; they are withdrawn once that is committed."""
        wanted = min(size, _LARGEST)
        if self._part is None:
            self._part = list(islice(self._ids, wanted))
        found = [stored for stored in self._sessions.get_many(self._part) if self._judge.may_go(stored)]
        self._victims = self._unprotected(connection, found)[: self.left]
        archived = 0
        self._tools.remember_numbers(connection, (stored.id for stored in self._victims))
        if self._victims and self._place is not None:
            lines = _lines(self._layout, self._run_id, self._number, self._victims)
            archives = self._tools.archives
            archives.write(connection, self._run_id, self._number, self._place, lines, len(self._victims))
            archived = len(self._victims)
        finished = not self._part or self.left == 0
        return BatchOutcome(len(self._victims), {**BOUNDS}, finished, {"archived": archived} if archived else {})

    def committed(self, position: Position) -> None:
        """Withdraws what is archived now and still is as it was; nobody adds a hold meanwhile."""
        self._part = None
        if not self._victims:
            return
        self._number += 1
        if self.left is not None:
            self.left -= len(self._victims)
        with self._database.begin() as connection:
            for stored in self._unprotected(connection, self._victims):
                fail_point("purge.before-withdraw")
                if self._selection.everything:
                    # Retention leaves it to its own hour.
                    self._sessions.forget_state(stored)
                if self._sessions.withdraw(stored) == "gone":
                    self.deleted += 1
                    self.messages += len(stored.history)
                    self.by_account[_text(stored, "user_id") or ""] += 1
                else:
                    self.changed += 1
        self._victims = []

    def _unprotected(self, connection: sa.Connection, found: Sequence[StoredSession]) -> list[StoredSession]:
        now_ms = to_epoch_ms(self._selection.now)
        holds = self._tools.holds.in_force(connection, now_ms)
        back = self._tools.holds.exempted(connection, [_name(stored) for stored in found], now_ms)
        return [stored for stored in found if not self._judge.held(stored, holds) and _name(stored) not in back]


def _lines(layout: str, run_id: str, number: int, victims: Sequence[StoredSession]) -> Iterator[str]:
    yield Header(layout, run_id, number, {}).line()
    for place, stored in enumerate(victims):
        yield Record.of_session(place, stored).line()


def _name(stored: StoredSession) -> str:
    return chat_key((stored.id,))


def _text(stored: StoredSession, field: str) -> str | None:
    value: Any = stored.fields.get(field)
    return None if value is None else str(value)


def _parts(ids: Iterator[Id]) -> Iterator[list[Id]]:
    while part := list(islice(ids, _LARGEST)):
        yield part
