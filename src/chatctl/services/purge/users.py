"""A user's conversations wherever they are: live, in Redis and in archives, and whether a hold protects any."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import sqlalchemy as sa

from chatctl.domain.retention import HoldKind, Holds
from chatctl.domain.session_ids import LegacyId, SessionId, parse_session
from chatctl.errors import InvalidIdError, RefusedError
from chatctl.services.purge.sessions import SessionFigures, count_sessions
from chatctl.services.purge.target import PurgeTarget
from chatctl.stores.sql.purge.archives import Archive
from chatctl.stores.sql.purge.eligibility import Eligibility, Selection
from chatctl.stores.sql.purge.erasure import archived_of_user
from chatctl.stores.sql.purge.restoring import ArchiveReader


def everything_of(target: PurgeTarget, connection: sa.Connection, user: str) -> Selection:
    """All of the user's conversations, whatever their age."""
    now = target.now(connection)
    return Selection(target.retention, now, now, user=user, everything=True)


class UserConversations:
    """A user's conversations in one database, Redis and the archives."""

    def __init__(self, target: PurgeTarget, connection: sa.Connection, user: str) -> None:
        self._target = target
        self._connection = connection
        self._user = user
        self._on = target.conversations(connection)
        self._selection = everything_of(target, connection, user)
        self._eligibility = Eligibility(self._on, self._selection, target.database.dialect)

    def conversations(self) -> int:
        """How many there are that aren't archived."""
        return self._counted() + (self._sessions().total if self._target.sessions is not None else 0)

    def refuse_held(self, holds: Holds, archives: Sequence[Archive] | None = None, *, begun: bool = False) -> None:
        """Raises RefusedError where one of `holds` protects any, in `archives` (all of them, if None) or live."""
        if not holds:
            return
        held = self._counted(self._eligibility.held(holds))
        held += self._sessions().held if self._target.sessions is not None else 0
        listed = self._target.archives.all(self._connection) if archives is None else archives
        held += sum(holds.protect(**told) for told in self._archived(listed))
        if held or holds.protect(user=self._user, account=self._user):
            rest = "what is left of it stays" if begun else "nothing was erased"
            raise RefusedError(
                f"A hold protects this user ({held:,} conversations, archived ones among them): {rest}.",
                hint="chatctl purge hold list shows it; release it first.",
            )

    def _archived(self, listed: Sequence[Archive]) -> Iterator[dict[HoldKind, str | None]]:
        """What those in these archives tell of themselves."""
        target = self._target
        reader = ArchiveReader(self._on, target.archives)
        return archived_of_user(self._connection, target.archives, reader, listed, self._user)

    def named_by_holds(self) -> set[str]:
        """Those that holds name, released ones too."""
        holds = self._target.holds.all(self._connection)
        named = frozenset(hold.value for hold in holds if hold.kind == "chat")
        if not named:
            return set()
        mine = self._eligibility.held(Holds({"chat": named}))
        live = self._connection.scalars(sa.select(self._on.label).where(self._eligibility.scope, mine))
        archived = (told["chat"] for told in self._archived(self._target.archives.all(self._connection)))
        return {str(label) for label in live} | {label for label in archived if label in named} | self._mine(named)

    def _mine(self, named: Collection[str]) -> set[str]:
        if self._target.sessions is None:
            return set()
        found = self._target.sessions.get_many([session for text in named if (session := _session(text))])
        return {stored.id for stored in found if str(stored.fields.get("user_id")) == self._user}

    def _counted(self, *where: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(self._on.what.table).where(self._eligibility.scope, *where)
        return self._connection.scalar(query) or 0

    def _sessions(self) -> SessionFigures:
        assert self._target.sessions is not None
        return count_sessions(self._target.sessions, self._selection, self._target.tools, self._connection)


def _session(text: str) -> SessionId | LegacyId | None:
    try:
        return parse_session(text)
    except InvalidIdError:
        return None
