"""Accounts: `users create|list|password|token`, and logging in."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from chatctl.domain.result import Result
from chatctl.domain.sessions import iso
from chatctl.errors import NotFoundError, RepeatedKeyError, UsageError
from chatctl.services.identity.passwords import Passwords
from chatctl.services.identity.tokens import Tokens
from chatctl.stores.sql.serving.accounts import Account, Accounts
from chatctl.stores.sql.serving.gateway import Gateway, Reader
from chatctl.stores.sql.serving.people import People

ROLES = ("user", "teacher", "student", "admin")
#: The account that ray's own test script logs in with.
DEMO_ID = "550e8400-e29b-41d4-a716-446655440000"
DEMO_NAME, DEMO_EMAIL, DEMO_PASSWORD = "demo", "demo@example.com", "password"

_NAME = re.compile(r"[^\x00-\x20\x7f]{1,255}")


__all__ = ["Account", "Directory", "NewAccount"]


class Hashing(Protocol):
    """What passwords are kept as."""

    def hash(self, password: str) -> str:
        """The hash to keep."""

    def verify(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password."""


@dataclass(frozen=True)
class NewAccount:
    """What was asked for. Without an ID it gets a random UUID, without a password a random one."""

    username: str
    email: str | None = None
    role: str = "user"
    user_id: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        for what, text in (("name", self.username), ("address", self.email), ("ID", self.user_id)):
            if text is not None and not _NAME.fullmatch(text):
                raise UsageError(f"A user's {what} has 1 to 255 characters, and no blanks.")
        if self.role not in ROLES:
            raise UsageError(f"There is no role '{self.role}'.", hint=f"It is one of {', '.join(ROLES)}.")


class Directory:
    """The accounts of one context. Nobody gives himself a role: only `create` does, and only the CLI calls it."""

    def __init__(
        self, gateway: Gateway | Reader, accounts: Accounts, people: People | None, passwords: Hashing | None = None
    ) -> None:
        self._gateway = gateway
        self._accounts = accounts
        self._people = people
        self._passwords = passwords or Passwords()

    def create(self, wanted: NewAccount, *, dry_run: bool = False) -> Result:
        """Makes the account; in chatctl's own layout it gets a row among the users too."""
        password = wanted.password if wanted.password is not None else secrets.token_urlsafe(18)
        user_id = wanted.user_id or str(uuid.uuid4())
        values: dict[str, Any] = {
            "user_id": user_id,
            "username": wanted.username,
            "email": wanted.email,
            "password_hash": self._passwords.hash(password),
            "role": wanted.role,
        }

        def work(connection: Any) -> None:
            self._accounts.add(connection, values)
            if self._people is not None:
                more = {"username": wanted.username, "email": wanted.email, "role": wanted.role}
                self._people.require(connection, "users", user_id, datetime.now(UTC), **more)

        try:
            if not dry_run:
                self._gateway.write(work)
        except RepeatedKeyError:
            raise UsageError(f"There is a user '{wanted.username}' already, or one of that address or ID.") from None
        shown = {key: values[key] for key in ("user_id", "username", "email", "role")}
        made = wanted.password is None and not dry_run
        return Result({**shown, "password": password if made else None, "dry_run": dry_run})

    def list(self) -> Result:
        """Every account, without its password's hash."""
        accounts: Sequence[Account] = self._gateway.read(
            lambda connection: self._accounts.all(connection) if self._accounts.ready(connection) else []
        )
        return Result({"users": [_shown(account) for account in accounts]})

    def set_password(self, username: str, password: str, *, dry_run: bool = False) -> Result:
        """Gives the account another password."""
        account = self._named(username)
        hashed = self._passwords.hash(password)
        values = {"password_hash": hashed}
        if not dry_run:
            self._gateway.write(lambda connection: self._accounts.change(connection, account.user_id, **values))
        return Result({"user_id": account.user_id, "username": account.username, "dry_run": dry_run})

    def token(self, tokens: Tokens, username: str, lifetime: timedelta) -> Result:
        """An access token for the account."""
        account = self._named(username)
        expires_at = datetime.now(UTC).replace(microsecond=0) + lifetime
        text = tokens.issue(account.user_id, account.role, lifetime)
        return Result({"user_id": account.user_id, "token": text, "expires_at": iso(expires_at)})

    def authenticate(self, username: str | None, email: str | None, password: str) -> Account | None:
        """The account, if that is its password. It takes as long where there is no such account."""
        account = self._gateway.read(lambda connection: self._accounts.find(connection, username, email))
        right = self._passwords.verify(account.password_hash if account else None, password)
        return account if right else None

    def get(self, user_id: str) -> Account | None:
        """The account of that ID."""
        return self._gateway.read(lambda connection: self._accounts.get(connection, user_id))

    def make_demo(self) -> None:
        """Makes ray's demo account where it isn't there."""
        if self.get(DEMO_ID) is None:
            self.create(NewAccount(DEMO_NAME, DEMO_EMAIL, "user", DEMO_ID, DEMO_PASSWORD))

    def _named(self, username: str) -> Account:
        account = self._gateway.read(
            lambda c: self._accounts.find(c, username, None) if self._accounts.ready(c) else None
        )
        if account is None:
            raise NotFoundError(f"There is no user '{username}'.", hint="chatctl users list")
        return account


def _shown(account: Account) -> dict[str, Any]:
    created_at = datetime.fromtimestamp(account.created_ms / 1000, UTC)
    return {
        "user_id": account.user_id,
        "username": account.username,
        "email": account.email,
        "role": account.role,
        "created_at": iso(created_at),
    }
