"""Logging in, as ray and as toolboxai do it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import ConfigDict

from chatctl.api.bodies import Body, Text, Words, body_of, json_of, reply, validated
from chatctl.api.documents import PUBLIC, responses, takes
from chatctl.api.parts import Parts, parts_of
from chatctl.api.problems import RETRY_SECONDS, Problem, status_of, text_of
from chatctl.api.routes import system_router
from chatctl.domain.sessions import iso
from chatctl.errors import ChatctlError
from chatctl.services.identity.accounts import Account

ray = system_router("ray")
toolboxai = system_router("toolboxai", "/api/v1/auth")

_RAY_LIFETIME = timedelta(hours=24)


def _names_somebody(schema: dict[str, Any]) -> None:
    given = {"type": "string", "minLength": 1}
    schema["anyOf"] = [{"properties": {name: given}, "required": [name]} for name in ("username", "email")]


class Credentials(Body):
    """A name or an address, and the password."""

    model_config = ConfigDict(json_schema_extra=_names_somebody)

    username: Text | None = None
    email: Text | None = None
    password: Text


class RefreshToken(Body):
    """The token that was given out last."""

    refresh_token: Words


@ray.post(
    "/api/login",
    responses=responses(400, 401, 413, 429, 500),
    openapi_extra={**PUBLIC, **takes(Credentials)},
)
async def ray_login(request: Request) -> Response:
    """A token for a day."""
    parts = parts_of(request)
    try:
        given = validated(await json_of(request), Credentials)
        account = await _authenticate(request, parts, given)
    except ChatctlError as problem:
        text = f"Login failed: {text_of(problem)}"
        raise Problem(500, text, {"Retry-After": str(RETRY_SECONDS)} if status_of(problem) == 503 else None) from None
    expires_at = datetime.now(UTC).replace(microsecond=0) + _RAY_LIFETIME
    return reply(
        {
            "user_id": account.user_id,
            "username": account.username,
            "email": account.email,
            "token": parts.tokens.issue(account.user_id, account.role, _RAY_LIFETIME),
            "expires_at": iso(expires_at),
        }
    )


@toolboxai.post(
    "/login",
    responses=responses(400, 401, 413, 429, 500, 503),
    openapi_extra={**PUBLIC, **takes(Credentials)},
)
async def login(request: Request) -> Response:
    """An access token, and a refresh token that is good for one use. A role in the body means nothing."""
    parts = parts_of(request)
    account = await _authenticate(request, parts, await body_of(request, Credentials))
    return reply(await parts.admission.run(parts.systems.logins.begin, account))


@toolboxai.post(
    "/refresh",
    responses=responses(400, 401, 413, 429, 500, 503),
    openapi_extra={**PUBLIC, **takes(RefreshToken)},
)
async def refresh(request: Request) -> Response:
    """The next pair of tokens. A refresh token that was used before ends its whole family."""
    parts = parts_of(request)
    await parts.admission.guess(request)
    given = await body_of(request, RefreshToken)
    return reply(await parts.admission.run(parts.systems.logins.refresh, given.refresh_token))


@toolboxai.post("/logout", responses=responses(400, 401, 413, 429, 500, 503))
async def logout(request: Request) -> Response:
    """Ends the login that the token came from: its access and refresh tokens are good no more.

    A token of no such login (ray's, or the command line's) is good until it expires, and the answer says so.
    """
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    if caller.family is None:
        return reply({"success": False, "message": "This token is of no login that could be ended; it will expire."})
    await parts.admission.run(parts.systems.logins.end, caller)
    return reply({"success": True, "message": "Logged out"})


async def _authenticate(request: Request, parts: Parts, given: Credentials) -> Account:
    name = given.username or given.email
    if not name:
        raise Problem(400, "username or email is required")
    await parts.admission.guess(request, name)
    directory = parts.systems.directory
    account = await parts.admission.run(directory.authenticate, given.username or None, given.email, given.password)
    if account is None:
        parts.admission.refused(request)
        raise Problem(401, "Invalid credentials")
    return account
