"""Access tokens: JWT as RFC 8725 wants them. One algorithm, issuer, audience, expiry, and keys told by their ID."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import jwt

from chatctl.errors import AccessDeniedError, ConfigurationError

ISSUER = "chatctl"
_ALGORITHM = "HS256"
#: RFC 7518 wants a key as long as the hash.
SHORTEST_SECRET = 32
_REQUIRED = ["iss", "aud", "sub", "exp", "iat", "jti"]
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Caller:
    """Who calls: `family` is the login that a token came from, where it can be revoked."""

    user_id: str
    role: str = "user"
    family: str | None = None
    known: bool = True

    @property
    def is_admin(self) -> bool:
        """Whether the caller may act on everybody's behalf."""
        return self.role == "admin"


class InvalidTokenError(AccessDeniedError):
    """The token is not valid."""

    default_hint = "Log in again, or make a token: chatctl users token NAME"


class Tokens:
    """Signs with the first of `secrets` and verifies with any; `audience` is the system that they are good for."""

    def __init__(self, secrets: Sequence[str], audience: str) -> None:
        if any(len(secret.encode()) < SHORTEST_SECRET for secret in secrets):
            raise ConfigurationError(
                f"serve.jwt_secret has to be at least {SHORTEST_SECRET} bytes long.",
                hint="python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        self._keys = {key_id(secret): secret for secret in secrets}
        self._signing = key_id(secrets[0])
        self._audience = f"{ISSUER}:{audience}"
        self._verified: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def issue(self, user_id: str, role: str, lifetime: timedelta, family: str | None = None) -> str:
        """A token for `user_id`, good for `lifetime`."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": user_id,
            "role": role,
            "iat": now,
            "exp": now + int(lifetime.total_seconds()),
            "jti": uuid.uuid4().hex,
            **({"fam": family} if family else {}),
        }
        return jwt.encode(claims, self._keys[self._signing], _ALGORITHM, headers={"kid": self._signing})

    def verify(self, token: str) -> Caller:
        """Who the token is for. Raises InvalidTokenError, without saying what was wrong with it."""
        remembered = self._verified.get(token)
        if remembered is not None and time.time() < remembered[1]:
            return remembered[0]
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=self._audience,
                issuer=ISSUER,
                options={"require": _REQUIRED},
            )
            caller = Caller(claims["sub"], str(claims.get("role", "user")), claims.get("fam"))
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            raise InvalidTokenError() from None
        self._remember(token, caller, float(claims["exp"]))
        return caller

    def _remember(self, token: str, caller: Caller, until: float) -> None:
        self._verified[token] = (caller, until)
        while len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)


def key_id(secret: str) -> str:
    """The ID that tells keys apart and gives nothing of them away."""
    return hashlib.sha256(b"chatctl key id " + secret.encode()).hexdigest()[:16]
