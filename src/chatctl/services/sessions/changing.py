"""`sessions title` and `share`: one record changed, and only if nobody else changed it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from chatctl.domain.permissions import Decision
from chatctl.domain.result import Result
from chatctl.domain.session_ids import LegacyId, SessionId
from chatctl.domain.sessions import StoredSession
from chatctl.domain.titles import title_from
from chatctl.errors import AccessRefusedError, NotFoundError, RetryableError, UsageError

Id = SessionId | LegacyId

#: Makes a title of a text; None where it can't.
Titler = Callable[[str], str | None]

_ATTEMPTS = 20


class Sessions(Protocol):
    """The sessions in Redis."""

    def get(self, session: Id) -> StoredSession | None:
        """One session with its history."""

    def replace(self, session: Id, read: str, fields: Mapping[str, Any]) -> bool:
        """Writes the record where it still is what was read."""


def title(
    sessions: Sessions, session: Id, text: str | None = None, *, dry_run: bool = False, titler: Titler = title_from
) -> Result:
    """Names a session: by `text`, or by its first message. Raises NotFoundError where it has neither."""
    stored = _get(sessions, session)
    name = text or (titler(stored.first_message) if stored.first_message else None)
    if not name:
        raise NotFoundError(f"Session {session} has no message to make a title of.", hint="--title TEXT names it.")
    before = stored.fields.get("chat_name")
    if not dry_run:
        change(sessions, session, lambda fields: {**fields, "chat_name": name})
    return Result({"id": str(session), "chat_name": name, "before": before, "dry_run": dry_run})


def share(
    sessions: Sessions,
    decide: Callable[[str, str], Decision],
    session: Id,
    add: Sequence[str],
    remove: Sequence[str],
    *,
    dry_run: bool = False,
) -> Result:
    """Lets other users into a session, or no longer. Guests of a project session must pass its probe themselves.

    Raises AccessRefusedError, changing nothing, where one of them may not enter the project.
    """
    stored = _get(sessions, session)
    project = stored.fields.get("project_number")
    for guest in add:
        if guest == stored.fields.get("user_id"):
            raise UsageError(f"'{guest}' owns session {session}.")
        if project and not (decision := decide(guest, str(project))).allowed:
            raise AccessRefusedError(f"{guest}: {decision.reason}")
    guests = _guests(stored.fields, add, remove)
    if not dry_run:
        changed = change(sessions, session, lambda fields: {**fields, "allowed_users": _guests(fields, add, remove)})
        guests = changed["allowed_users"]
    return Result({"id": str(session), "allowed_users": guests, "dry_run": dry_run})


def _guests(fields: Mapping[str, Any], add: Sequence[str], remove: Sequence[str]) -> list[str]:
    present = fields.get("allowed_users")
    kept = [str(guest) for guest in present] if isinstance(present, list) else []
    return [guest for guest in dict.fromkeys([*kept, *add]) if guest not in remove]


def change(sessions: Sessions, session: Id, how: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The record's new fields, once they are written. Raises NotFoundError, and whatever `how` raises."""
    for _ in range(_ATTEMPTS):
        stored = _get(sessions, session)
        fields = how(stored.fields)
        if sessions.replace(session, stored.record, fields):
            return fields
    raise RetryableError(f"Session {session} is being changed all the time.")


def _get(sessions: Sessions, session: Id) -> StoredSession:
    stored = sessions.get(session)
    if stored is None:
        raise NotFoundError(f"There is no session {session} in Redis.", hint="chatctl sessions archive --restore ID")
    return stored
