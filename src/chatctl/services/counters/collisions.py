"""Sessions that two users claim: a number that was issued twice, and whose the session now is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from chatctl.domain.session_ids import LegacyId, SessionId, parse_session
from chatctl.domain.sessions import StoredSession, iso, parse_moment
from chatctl.errors import InvalidIdError
from chatctl.services.counters.evidence import Census


class Sessions(Protocol):
    """The sessions in Redis."""

    def get_many(self, sessions: Sequence[SessionId | LegacyId]) -> list[StoredSession]:
        """Those that are there, with their histories."""


def collisions(census: Census, sessions: Sessions) -> list[dict[str, Any]]:
    """Each session that stands in several users' indexes, with what is left of each of them.

    `owner` is whom the record names, None where the record is gone.
    """
    claimed = {text: users for text, users in census.claims.items() if _is_collision(census, text)}
    ids = sorted((found for text in claimed if (found := _parsed(text))), key=str)
    stored = {session.id: session for session in sessions.get_many(ids)}
    return [_collision(text, claimed[text], stored.get(text)) for text in map(str, ids)]


def orphans(census: Census) -> Iterator[tuple[str, str]]:
    """(session, user) for each place in an index whose session has no record, and that nobody else claims."""
    for text, users in sorted(census.claims.items()):
        if not _is_collision(census, text):
            yield from ((text, user) for user in sorted(users))


def _is_collision(census: Census, text: str) -> bool:
    owner = census.owners.get(text)
    return len(census.claims[text] | ({owner} if owner else set())) > 1


def _collision(text: str, claimants: set[str], session: StoredSession | None) -> dict[str, Any]:
    fields = session.fields if session else {}
    owner = str(fields["user_id"]) if fields.get("user_id") is not None else None
    users = claimants | ({owner} if owner else set())
    left = _left(session)
    return {
        "id": text,
        "owner": owner,
        "created_at": iso(parse_moment(fields.get("created_at"))),
        "users": [{"user": user, "has_record": user == owner, **left[user]} for user in sorted(users)],
    }


def _left(session: StoredSession | None) -> dict[str, dict[str, Any]]:
    """Messages that each user has in the history: how many, the first and the last instant."""
    moments: dict[str, list[Any]] = defaultdict(list)
    for message in session.messages if session else ():
        moments[str(message.get("user_id"))].append(parse_moment(message.get("timestamp") or message.get("created_at")))
    found: dict[str, dict[str, Any]] = defaultdict(lambda: {"messages": 0, "first_at": None, "last_at": None})
    for user, instants in moments.items():
        known = [moment for moment in instants if moment]
        found[user] = {
            "messages": len(instants),
            "first_at": iso(min(known, default=None)),
            "last_at": iso(max(known, default=None)),
        }
    return found


def _parsed(text: str) -> SessionId | LegacyId | None:
    try:
        return parse_session(text)
    except InvalidIdError:
        return None
