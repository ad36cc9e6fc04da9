"""The accounts of the API, in chatctl's own tables: the applications keep their users and passwords to themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.journal.runs import now_ms


@dataclass(frozen=True)
class Account:
    """One account. `created_ms` and `changed_ms` are milliseconds since 1970, UTC."""

    user_id: str
    username: str
    email: str | None
    password_hash: str
    role: str
    created_ms: int
    changed_ms: int

    def __repr__(self) -> str:
        return f"Account({self.user_id!r}, {self.username!r})"


class Accounts:
    """The table of accounts, in `schema` or beside the application's own tables."""

    def __init__(self, schema: str | None) -> None:
        self._table = sa.Table(
            "chatctl_accounts",
            sa.MetaData(schema=schema),
            sa.Column("user_id", sa.String(255), primary_key=True),
            sa.Column("username", sa.String(255), nullable=False),
            sa.Column("email", sa.String(255)),
            sa.Column("password_hash", sa.String(255), nullable=False),
            sa.Column("role", sa.String(32), nullable=False),
            sa.Column("created_ms", sa.BigInteger, nullable=False),
            sa.Column("changed_ms", sa.BigInteger, nullable=False),
        )

    def ready(self, connection: sa.Connection) -> bool:
        """Whether the table has been made."""
        return sa.inspect(connection).has_table(self._table.name, schema=self._table.schema)

    def find(self, connection: sa.Connection, username: str | None, email: str | None) -> Account | None:
        """The account of exactly that name, or else of that address."""
        for column, value in ((self._table.c.username, username), (self._table.c.email, email)):
            if value is not None:
                found = connection.execute(sa.select(self._table).where(column == value)).first()
                # A collation may take another spelling for the same name.
                return _account(found) if found is not None and getattr(found, column.key) == value else None
        return None

    def get(self, connection: sa.Connection, user_id: str) -> Account | None:
        """The account of that ID."""
        found = connection.execute(sa.select(self._table).where(self._table.c.user_id == user_id)).first()
        return _account(found) if found is not None else None

    def all(self, connection: sa.Connection) -> Sequence[Account]:
        """Every account, by name."""
        return [_account(row) for row in connection.execute(sa.select(self._table).order_by(self._table.c.username))]

    def add(self, connection: sa.Connection, values: dict[str, Any]) -> None:
        """Adds an account; raises RepeatedKeyError where its name, address or ID is taken."""
        connection.execute(self._table.insert().values(**values, created_ms=now_ms(), changed_ms=now_ms()))

    def change(self, connection: sa.Connection, user_id: str, **values: Any) -> None:
        """Changes one account."""
        own = self._table.update().where(self._table.c.user_id == user_id)
        connection.execute(own.values(**values, changed_ms=now_ms()))


def _account(row: sa.Row[Any]) -> Account:
    return Account(**row._mapping)
