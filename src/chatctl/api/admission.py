"""Who may come in: the caller by the token, and how often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
from fastapi import Request

from chatctl.api.outermost import CALLER, leave_header
from chatctl.api.problems import Problem
from chatctl.domain.limits import Rule, Verdict
from chatctl.domain.ray_messages import ANONYMOUS
from chatctl.services.identity.tokens import Caller, InvalidTokenError, Tokens

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Whoever has no token.
NOBODY = Caller(ANONYMOUS, known=False)

#: Attempts from one address, at one name from one address, and at one name.
ADDRESS_RULE = ("{address}", (Rule(60, 60),))
NAME_RULES = (("{address}:{name}", (Rule(10, 60),)), ("{name}", (Rule(100, 60),)))

#: Work that waits for a server runs in so many threads.
THREADS = 64


class Limiter(Protocol):
    """Counts requests."""

    def leased(self, identifier: str, rules: tuple[Rule, ...]) -> Verdict | None:
        """The verdict where it costs nothing."""

    def acquire(self, identifier: str, rules: tuple[Rule, ...]) -> Verdict:
        """Counts a request."""


class Admission:
    """Tells callers apart and counts them. With `auth` off the request itself says who calls."""

    def __init__(
        self, tokens: Tokens, limiter: Limiter | None, rules: tuple[Rule, ...], *, auth: bool,
        is_alive: Callable[[str], bool] | None,
    ) -> None:  # fmt: skip
        self._tokens = tokens
        self._limiter = limiter
        self._rules = rules
        self.auth = auth
        self._is_alive = is_alive
        self._threads: anyio.CapacityLimiter | None = None
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work` returns, done in a thread."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS)
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._threads)

    async def admit(
        self, request: Request, *, anonymous: bool = False, rules: tuple[Rule, ...] | None = None
    ) -> Caller:
        """Who calls. Raises Problem 401 without a good token (unless `anonymous` is let in), 429 for too many calls.

        The calls are counted by `rules`, where the endpoint has its own.
        """
        caller = await self._caller(request)
        if not caller.known and self.auth and not anonymous:
            raise Problem(401, "Authentication required")
        request.scope[CALLER] = caller.user_id
        await self._count(request, caller, rules or self._rules)
        return caller

    def user(self, caller: Caller, claimed: str | None) -> str:
        """Whose data is meant: the token's user's. A body that names somebody else is refused with 403."""
        if not self.auth:
            return claimed or caller.user_id
        if claimed is not None and claimed != caller.user_id:
            raise Problem(403, "The user is not the token's.")
        return caller.user_id

    def owner(self, caller: Caller) -> str | None:
        """Whose things are meant: the caller's. None, whoever they belong to, where the request names nobody."""
        named = self.auth or caller.known or caller.user_id != ANONYMOUS
        return caller.user_id if named else None

    async def guess(self, request: Request, name: str | None = None) -> None:
        """Counts an attempt to log in, as `name` where one is given. Raises Problem 429 where there were too many."""
        address = _address(request)
        for template, rules in (*(NAME_RULES if name is not None else ()), ADDRESS_RULE):
            identifier = "login:" + template.format(address=address, name=(name or "")[:255])
            verdict = await self._acquire(identifier, rules)
            if verdict is not None and not verdict.allowed:
                log.warning("Too many attempts to log in from %s", address)
                raise too_many(verdict)

    def refused(self, request: Request) -> None:
        """Notes an attempt to log in that failed; whose name was tried stays out of the log."""
        log.warning("Login refused for a caller at %s", _address(request))

    async def _caller(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            try:
                caller = self._tokens.verify(token.strip())
            except InvalidTokenError as problem:
                if self.auth:
                    raise Problem(401, problem.message) from None
            else:
                await self._require_alive(caller)
                return caller
        elif scheme and self.auth:
            raise Problem(401, "A bearer token is expected.")
        if self.auth:
            return NOBODY
        return Caller(request.headers.get("x-user-id") or ANONYMOUS, "admin", known=False)

    async def _require_alive(self, caller: Caller) -> None:
        if caller.family is None or self._is_alive is None or not self.auth:
            return
        if not await self.run(self._is_alive, caller.family):
            raise Problem(401, "The token was revoked.")

    async def _count(self, request: Request, caller: Caller, rules: tuple[Rule, ...]) -> None:
        who = caller.user_id if caller.known else f"{caller.user_id}@{_address(request)}"
        route = getattr(request.scope.get("route"), "path", request.url.path)
        verdict = await self._acquire(f"{who}:{request.method} {route}", rules)
        if verdict is None:
            return
        leave_header(request.scope, "x-ratelimit-limit", str(verdict.limit))
        leave_header(request.scope, "x-ratelimit-remaining", str(verdict.remaining))
        leave_header(request.scope, "x-ratelimit-reset", str(verdict.reset_at))
        if not verdict.allowed:
            raise too_many(verdict)

    async def _acquire(self, identifier: str, rules: tuple[Rule, ...]) -> Verdict | None:
        if self._limiter is None:
            return None
        leased = self._limiter.leased(identifier, rules)
        if leased is not None:
            return leased
        # One asks Redis for all who came at the same time, as far as what it gets is enough.
        asking = self._asking.setdefault(identifier, asyncio.Lock())
        async with asking:
            leased = self._limiter.leased(identifier, rules)
            return leased or await self.run(self._limiter.acquire, identifier, rules)


def too_many(verdict: Verdict) -> Problem:
    """The answer to one request too many."""
    body = {
        "error": "Rate limit exceeded",
        "message": f"Too many requests: try again in {verdict.retry_after} seconds.",
        "retry_after": verdict.retry_after,
    }
    return Problem(429, str(body["message"]), {"Retry-After": str(verdict.retry_after)}, body)


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
