"""Refresh tokens, in the application's `sessions`: each is used once, and all of one login are a family.

Only a token's digest is kept. Each method works in the caller's transaction.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.serving.people import People
from chatctl.stores.sql.serving.rows import fitting
from chatctl.stores.sql.tables import LayoutTables


@dataclass(frozen=True)
class Refreshed:
    """A new refresh token, whose it is, and the family it belongs to."""

    user_id: str
    token: str
    family: str


class TokenRows:
    """The rows of `sessions`."""

    def __init__(self, tables: LayoutTables) -> None:
        self._table = tables["sessions"]
        self.people = People(tables)
        for key in ("token_id", "refresh_family", "token_expires_at", "token_revoked_at", "user_id"):
            tables.column("sessions", key)

    def begin(self, connection: sa.Connection, user: str, now: datetime, lifetime: timedelta) -> Refreshed:
        """The first token of a new family."""
        return self._add(connection, user, uuid.uuid4().hex, now, lifetime)

    def rotate(self, connection: sa.Connection, token: str, now: datetime, lifetime: timedelta) -> Refreshed | None:
        """Takes `token` and gives the next one; None where it isn't good any more.

        One that was used before is in two hands: its whole family is revoked.
        """
        table, digest = self._table, _digest(token)
        usable = sa.and_(table.c.token_id == digest, table.c.token_revoked_at.is_(None), table.c.token_expires_at > now)
        # The update decides who was first: it takes the row's lock on every engine.
        taken = connection.execute(table.update().where(usable).values(token_revoked_at=now)).rowcount
        row = connection.execute(
            sa.select(table.c.user_id, table.c.refresh_family, table.c.token_revoked_at).where(
                table.c.token_id == digest
            )
        ).first()
        if row is None:
            return None
        if taken == 0:
            if row.token_revoked_at is not None:
                self.revoke(connection, row.refresh_family, now)
            return None
        return self._add(connection, row.user_id, row.refresh_family, now, lifetime)

    def revoke(self, connection: sa.Connection, family: str, now: datetime) -> None:
        """Revokes every token of a family."""
        table = self._table
        living = sa.and_(table.c.refresh_family == family, table.c.token_revoked_at.is_(None))
        connection.execute(table.update().where(living).values(token_revoked_at=now))

    def is_alive(self, connection: sa.Connection, family: str) -> bool:
        """Whether a family still has a token that is good."""
        table = self._table
        living = sa.and_(table.c.refresh_family == family, table.c.token_revoked_at.is_(None))
        return connection.scalar(sa.select(sa.literal(1)).where(living).limit(1)) is not None

    def _add(self, connection: sa.Connection, user: str, family: str, now: datetime, lifetime: timedelta) -> Refreshed:
        token = secrets.token_urlsafe(32)
        row: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "user_id": user,
            "token_id": _digest(token),
            "refresh_family": family,
            "created_at": now,
            "token_issued_at": now,
            "token_expires_at": now + lifetime,
        }
        connection.execute(self._table.insert().values(**fitting(self._table, row)))
        return Refreshed(user, token, family)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
