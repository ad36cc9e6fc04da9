"""What stands around every request: its ID, its size, security headers, the access log, the figures, and health.

Plain ASGI, since every request pays for it. Health is answered here: it is asked for often, and has to answer when
everything else is busy.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from typing import Any

import pydantic_core
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatctl.api.figures import Figures
from chatctl.api.problems import Problem, key_for

access = logging.getLogger("chatctl.access")

_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_NUL = "\x00"
#: What nginx logs for a client that left in the middle of its request; nobody receives it.
_CLIENT_GONE = 499
_TOO_LARGE = "The body is too large."

_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]

#: Where the rest of the app leaves headers for the answer.
HEADERS = "chatctl.headers"
#: Where it leaves the caller, for the log.
CALLER = "chatctl.caller"


class Outermost:
    """Wraps `app`. `health` gives the answer to /health: status and body."""

    def __init__(
        self, app: ASGIApp, figures: Figures, body_bytes: int, health: Callable[[], tuple[int, bytes]]
    ) -> None:
        self._app = app
        self._figures = figures
        self._body_bytes = body_bytes
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._body_bytes)
        self._figures.in_flight.inc()
        try:
            if scope["path"] == "/health" and scope["method"] in ("GET", "HEAD"):
                await self._answer_health(exchange)
            elif (refusal := exchange.refusal()) is not None:
                await exchange.refuse(*refusal)
            else:
                await self._serve(exchange)
        finally:
            self._figures.in_flight.dec()
            self._tell(exchange)

    async def _serve(self, exchange: _Exchange) -> None:
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = _CLIENT_GONE  # whatever Starlette answered to nobody
        except Exception as problem:
            access.error("Unexpected: %s", type(problem).__name__, exc_info=problem)
            await exchange.refuse(500, "Internal server error")

    async def _answer_health(self, exchange: _Exchange) -> None:
        status, body = self._health()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 503:
            headers.append((b"retry-after", b"2"))
        await exchange.send({"type": "http.response.start", "status": status, "headers": headers})
        content = b"" if exchange.scope["method"] == "HEAD" else body
        await exchange.send({"type": "http.response.body", "body": content})

    def _tell(self, exchange: _Exchange) -> None:
        scope, seconds = exchange.scope, time.perf_counter() - exchange.started
        route = "/health" if scope["path"] == "/health" else getattr(scope.get("route"), "path", "other")
        self._figures.request(scope["method"], route, exchange.status, seconds)
        if access.isEnabledFor(logging.INFO):
            fields = {
                "request_id": exchange.id.decode(),
                "method": scope["method"],
                "path": scope["path"],
                "status": exchange.status,
                "ms": round(seconds * 1000, 2),
                "client": scope["client"][0] if scope.get("client") else None,
                "user": scope.get(CALLER),
            }
            access.info("%s %s %d", scope["method"], route, exchange.status, extra={"fields": fields})


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body_bytes: int) -> None:
        self.scope = scope
        self.started = time.perf_counter()
        self.status = 0
        self._receive, self._send = receive, send
        self._left = self._most = body_bytes
        self._length: bytes | None = None
        given: bytes | None = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"content-length":
                self._length = value
        self.id = given if given is not None and _GIVEN_ID.fullmatch(given) else b"%032x" % random.getrandbits(128)
        scope[HEADERS] = {}

    def refusal(self) -> tuple[int, str] | None:
        """Why the request isn't even looked at."""
        if self._length is not None and (not self._length.isdigit() or int(self._length[:18]) > self._most):
            return 413, _TOO_LARGE
        if _NUL in self.scope["path"] or b"%00" in self.scope["query_string"]:
            return 400, "A NUL is no part of any name."
        return None

    async def receive(self) -> Message:
        """What the app receives, as long as it isn't too much."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise Problem(413, _TOO_LARGE, {"Connection": "close"})
        return message

    async def send(self, message: Message) -> None:
        """Sends on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            extra: dict[bytes, bytes] = self.scope[HEADERS]
            given = [(b"x-request-id", self.id), *extra.items()]
            message["headers"] = [*message.get("headers", ()), *_SECURITY, *given]
        await self._send(message)

    async def refuse(self, status: int, text: str) -> None:
        """Answers with an error, unless an answer has begun."""
        if self.status:
            return
        body: bytes = pydantic_core.to_json({key_for(self.scope["path"]): text})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 413:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def leave_header(scope: Any, name: str, value: str) -> None:
    """A header for the answer, whatever that turns out to be."""
    scope[HEADERS][name.encode()] = value.encode()
