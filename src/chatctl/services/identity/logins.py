"""toolboxai's logins: an access token, and a refresh token that is used once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from chatctl.services.identity.accounts import Directory
from chatctl.services.identity.tokens import Caller, InvalidTokenError, Tokens
from chatctl.stores.sql.serving.accounts import Account
from chatctl.stores.sql.serving.gateway import Gateway
from chatctl.stores.sql.serving.tokens import Refreshed, TokenRows


class Logins:
    """Families of tokens: one for each login."""

    def __init__(
        self,
        gateway: Gateway,
        rows: TokenRows,
        directory: Directory,
        tokens: Tokens,
        access: timedelta,
        refresh: timedelta,
    ) -> None:
        self._gateway = gateway
        self._rows = rows
        self._directory = directory
        self._tokens = tokens
        self._access = access
        self._refresh = refresh

    def begin(self, account: Account) -> dict[str, Any]:
        """What a login answers."""
        now = datetime.now(UTC)

        def work(connection: Any) -> Refreshed:
            self._rows.people.require(connection, "users", account.user_id, now)
            return self._rows.begin(connection, account.user_id, now, self._refresh)

        return self._answer(self._gateway.write(work), account)

    def refresh(self, token: str) -> dict[str, Any]:
        """The next pair of tokens. Raises InvalidTokenError; a token that was used before ends its whole family."""
        now = datetime.now(UTC)
        found = self._gateway.write(lambda connection: self._rows.rotate(connection, token, now, self._refresh))
        account = self._directory.get(found.user_id) if found is not None else None
        if found is None or account is None:
            raise InvalidTokenError("The refresh token is not valid.", hint="Log in again.")
        return self._answer(found, account)

    def end(self, caller: Caller) -> None:
        """Ends the family that the caller's token belongs to."""
        family, now = caller.family, datetime.now(UTC)
        if family is not None:
            self._gateway.write(lambda connection: self._rows.revoke(connection, family, now))

    def is_alive(self, family: str) -> bool:
        """Whether a family has not been ended."""
        return self._gateway.read(lambda connection: self._rows.is_alive(connection, family))

    def _answer(self, refreshed: Refreshed, account: Account) -> dict[str, Any]:
        return {
            "access_token": self._tokens.issue(account.user_id, account.role, self._access, refreshed.family),
            "refresh_token": refreshed.token,
            "token_type": "bearer",
            "expires_in": int(self._access.total_seconds()),
            "role": account.role,
            "user": {
                "id": account.user_id,
                "username": account.username,
                "email": account.email,
                "role": account.role,
            },
        }
