"""`sessions show`, `list`, `validate` and `usage`. Only reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from chatctl.domain.result import Outcome, Result
from chatctl.domain.session_ids import LegacyId, Month, SessionId, kind_of, parse_session
from chatctl.domain.sessions import SessionSummary, StoredSession, iso
from chatctl.errors import InvalidIdError, NotFoundError

Id = SessionId | LegacyId

_PART = 1_000
_LISTED = ("chat_name", "user_id", "chat_type", "project_number", "project_name", "page_name", "status")


class Sessions(Protocol):
    """The sessions in Redis."""

    def get(self, session: Id) -> StoredSession | None:
        """One session with its history."""

    def summaries(self, sessions: Sequence[Id]) -> list[SessionSummary]:
        """Records without histories."""

    def ids_of(self, user: str, project: str | None = None) -> list[Id]:
        """A user's sessions."""

    def ids(self) -> Iterator[Id]:
        """Every session."""


class Archive(Protocol):
    """The sessions in SQL."""

    def load(self, ids: Sequence[str]) -> list[StoredSession]:
        """Those that are archived."""

    def ids(self, user: str | None = None) -> list[str]:
        """Every archived session, or a user's."""


def validate(texts: Sequence[str]) -> Result:
    """Whether each text is a session's ID, and if not, why; findings where one is none. Needs no database."""
    ids = [_validated(text) for text in texts]
    outcome = Outcome.DONE if all(item["valid"] for item in ids) else Outcome.FINDINGS
    return Result({"ids": ids}, outcome)


def find(sessions: Sessions, archive: Archive | None, session: Id) -> tuple[StoredSession, bool]:
    """The session and whether it is archived; Redis wins where both hold it. Raises NotFoundError."""
    stored = sessions.get(session)
    if stored is not None:
        return stored, False
    for archived in archive.load([str(session)]) if archive else ():
        return archived, True
    raise NotFoundError(f"There is no session {session}.", hint="chatctl sessions list")


def show(sessions: Sessions, archive: Archive | None, session: Id) -> Result:
    """The record of one session and its messages, wherever they are."""
    stored, archived = find(sessions, archive, session)
    data = {
        "id": stored.id,
        "archived": archived,
        "last_active": iso(stored.last_active),
        "record": dict(stored.fields),
        "messages": [dict(message) for message in stored.messages],
    }
    return Result(data)


def list_sessions(sessions: Sessions, user: str | None, project: str | None, *, limit: int, offset: int = 0) -> Result:
    """Sessions in Redis, newest first: everybody's, or those of a user, a project or both."""
    ids: Iterator[Id] | Sequence[Id] = sessions.ids() if user is None else sessions.ids_of(user, project)
    if project is not None:
        ids = [session for session in ids if isinstance(session, SessionId) and session.scope.project == project]
    # By ID: a scan may come across a session twice.
    by_id = {summary.id: summary for part in _parts(iter(ids)) for summary in sessions.summaries(part)}
    found = sorted(by_id.values(), key=lambda summary: (iso(summary.created_at) or "", summary.id), reverse=True)
    rows = [_row(summary) for summary in found[offset : offset + limit]]
    return Result({"sessions": rows, "total": len(found), "limit": limit, "offset": offset})


def usage(sessions: Sessions, archive: Archive | None, user: str | None) -> Result:
    """Sessions and messages per user and month (UTC) of the sessions' creation, archived ones included."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    seen: set[str] = set()
    for part in _parts(iter(sessions.ids() if user is None else sessions.ids_of(user))):
        for summary in sessions.summaries(part):
            if summary.id not in seen:
                seen.add(summary.id)
                _count(counts, summary, archived=False)
    for part in _parts(iter(archive.ids(user) if archive else ())):
        for stored in archive.load([text for text in part if text not in seen]) if archive else ():
            _count(counts, SessionSummary(stored.id, stored.fields, len(stored.history)), archived=True)
    rows = [
        {"user": name, "month": month, "sessions": total, "archived": archived, "messages": messages}
        for (name, month), (total, archived, messages) in sorted(counts.items())
        if user is None or name == user
    ]
    return Result({"usage": rows})


def _count(counts: dict[tuple[str, str], list[int]], summary: SessionSummary, *, archived: bool) -> None:
    created_at = summary.created_at
    month = str(Month.at(created_at)) if created_at else "unknown"
    entry = counts[(str(summary.fields.get("user_id")), month)]
    entry[0] += 1
    entry[1] += archived
    entry[2] += summary.message_count


def _validated(text: str) -> dict[str, Any]:
    try:
        parse_session(text)
    except InvalidIdError as problem:
        return {"id": text, "valid": False, "kind": kind_of(text), "reason": problem.message}
    return {"id": text, "valid": True, "kind": kind_of(text), "reason": None}


def _row(summary: SessionSummary) -> dict[str, Any]:
    return {
        "id": summary.id,
        **{name: summary.fields.get(name) for name in _LISTED},
        "created_at": iso(summary.created_at),
        "message_count": summary.message_count,
    }


def _parts(items: Iterator[Any]) -> Iterator[list[Any]]:
    while part := list(islice(items, _PART)):
        yield part
