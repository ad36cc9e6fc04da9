"""Holds, and conversations that were restored: what no purge may touch.

A batch reads them behind a gate that whoever adds one has to pass: once `add` returns, no batch deletes what it
protects, not even one that had begun before.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from typing import Any, get_args

import sqlalchemy as sa

from chatctl.domain.retention import Hold, HoldKind, Holds
from chatctl.errors import IntegrityError, NotFoundError
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.journal.runs import now_ms, whoami
from chatctl.stores.sql.purge.tables import purge_tables

_GATE = "purge_gate"
_CHUNK = 1_000


class HoldStore:
    """The holds beside `journal`."""

    def __init__(self, journal: Journal) -> None:
        self._meta = journal.tables.meta
        self._table = purge_tables(journal.schema).holds
        self._exemptions = purge_tables(journal.schema).exemptions

    def prepare(self, connection: sa.Connection) -> None:
        """Makes the gate, in a transaction of the caller's."""
        name = self._meta.c.name
        if connection.scalar(sa.select(name).where(name == _GATE)) is None:
            connection.execute(self._meta.insert().values(name=_GATE, value="0"))

    def in_force(self, connection: sa.Connection, at_ms: int) -> Holds:
        """The holds that protect something now; until the transaction ends nobody adds another one.

        Raises IntegrityError where one can't be read.
        """
        gate = sa.select(self._meta.c.value).where(self._meta.c.name == _GATE).with_for_update(read=True)
        connection.execute(gate)
        return self._read(connection, at_ms)

    def peek(self, connection: sa.Connection, at_ms: int) -> Holds:
        """The holds that protect something now, for a plan; raises IntegrityError where one can't be read."""
        if not self.is_there(connection):
            return Holds()
        return self._read(connection, at_ms)

    def _read(self, connection: sa.Connection, at_ms: int) -> Holds:
        return Holds.of([hold for hold in self.all(connection) if hold.holds_at(at_ms)])

    def all(self, connection: sa.Connection) -> list[Hold]:
        """Every hold, released ones too, oldest first."""
        query = sa.select(self._table).order_by(self._table.c.created_ms, self._table.c.id)
        return [_hold(row) for row in connection.execute(query)]

    def add(
        self, connection: sa.Connection, kind: HoldKind, value: str, reason: str, author: str, expires_ms: int | None
    ) -> Hold:
        """Records a new hold; see `record`."""
        hold = new_hold(kind, value, reason, author, expires_ms)
        self.record(connection, hold)
        return hold

    def record(self, connection: sa.Connection, hold: Hold) -> None:
        """Records a hold. Waits for batches in hand, and protects from every later one once it is committed."""
        self._close_gate(connection)
        connection.execute(self._table.insert().values(**hold.__dict__))

    def get(self, connection: sa.Connection, hold_id: str) -> Hold:
        """The hold of that ID. Raises NotFoundError."""
        query = sa.select(self._table).where(self._table.c.id == hold_id)
        row = connection.execute(query).one_or_none() if self.is_there(connection) else None
        if row is None:
            raise NotFoundError(f"There is no hold '{hold_id}'.", hint="chatctl purge hold list")
        return _hold(row)

    def release(self, connection: sa.Connection, hold_id: str) -> Hold:
        """Ends a hold, which stays on record. Raises NotFoundError."""
        if self.get(connection, hold_id).released_ms is None:
            change = self._table.update().where(self._table.c.id == hold_id)
            connection.execute(change.values(released_ms=now_ms(), released_by=whoami()))
        return self.get(connection, hold_id)

    # --- restored conversations -----------------------------------------------------------------------------

    def exempt(self, connection: sa.Connection, chats: Sequence[str], run_id: str, until_ms: int) -> None:
        """Notes that these conversations were restored and stay until then."""
        self._close_gate(connection)
        digests = sorted({_digest(chat) for chat in chats})
        for part in _parts(digests):
            self._forget(connection, part)
            connection.execute(
                self._exemptions.insert(),
                [{"chat_sha256": digest, "run_id": run_id, "until_ms": until_ms} for digest in part],
            )

    def exempted(self, connection: sa.Connection, chats: Sequence[str], at_ms: int) -> set[str]:
        """Those of `chats` that were restored and stay."""
        digests = {_digest(chat): chat for chat in chats}
        found: set[str] = set()
        column = self._exemptions.c
        for part in _parts(list(digests)):
            query = sa.select(column.chat_sha256).where(column.chat_sha256.in_(part), column.until_ms > at_ms)
            found.update(digests[digest] for digest in connection.scalars(query))
        return found

    def any_exempted(self, connection: sa.Connection, at_ms: int) -> bool:
        """Whether there is any conversation that was restored and stays; the journal has to be there."""
        query = sa.select(self._exemptions.c.run_id).where(self._exemptions.c.until_ms > at_ms).limit(1)
        return connection.execute(query).first() is not None

    def forget(self, connection: sa.Connection, user: str, chats: Collection[str]) -> None:
        """Takes an erased user's name, and those of their `chats`, out of the record; the holds stay on it."""
        for hold in self.all(connection):
            if hold.value == user or (hold.kind == "chat" and hold.value in chats):
                change = self._table.update().where(self._table.c.id == hold.id)
                connection.execute(change.values(value=f"erased:{_digest(hold.value)}", reason="erased"))

    def is_there(self, connection: sa.Connection) -> bool:
        """Whether there are tables for holds at all."""
        return sa.inspect(connection).has_table(self._table.name, schema=self._table.schema)

    def _forget(self, connection: sa.Connection, digests: Sequence[str]) -> None:
        connection.execute(self._exemptions.delete().where(self._exemptions.c.chat_sha256.in_(digests)))

    def _close_gate(self, connection: sa.Connection) -> None:
        connection.execute(self._meta.update().where(self._meta.c.name == _GATE).values(value=str(now_ms())))


def new_hold(kind: HoldKind, value: str, reason: str, author: str, expires_ms: int | None) -> Hold:
    """A hold that begins now and is recorded nowhere yet."""
    return Hold(f"h-{secrets.token_hex(6)}", kind, value, reason, author, now_ms(), expires_ms)


def chat_key(values: Iterable[Any]) -> str:
    """One text for the primary key of a conversation."""
    return "\x1f".join(str(value) for value in values)


def _hold(row: sa.Row[Any]) -> Hold:
    if row.kind not in get_args(HoldKind) or not row.value:
        raise IntegrityError(
            f"The hold '{row.id}' can't be read: its kind is '{row.kind}'.",
            hint="While a hold can't be read nothing is purged. A newer chatctl may have written it.",
        )
    return Hold(**row._mapping)


def _digest(chat: str) -> str:
    return hashlib.sha256(chat.encode()).hexdigest()


def _parts(items: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
