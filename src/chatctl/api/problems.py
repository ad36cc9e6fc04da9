"""What goes wrong, as each system's clients expect to be told. Never an exception's own text."""

from __future__ import annotations

import logging
from typing import Any

import pydantic_core
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from chatctl import errors
from chatctl.services.identity.tokens import InvalidTokenError

log = logging.getLogger(__name__)

RETRY_SECONDS = 2

#: Paths by their beginnings → the key under which that system's clients look for an error's text.
_KEYS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("/chat/", "/mentor/"), "message"),
    (("/api/login", "/api/vscode_user_message", "/api/agent/"), "error"),
    (("/query", "/conversations", "/purge", "/storage-stats"), "error"),
)

#: The nearest class in an error's family decides. What isn't here is 500.
_STATUS: dict[type[BaseException], int] = {
    errors.UsageError: 400,
    errors.RowRefusedError: 400,
    InvalidTokenError: 401,
    errors.AccessRefusedError: 403,
    errors.NotFoundError: 404,
    errors.LockedError: 503,
    errors.RefusedError: 503,
    errors.RetryableError: 503,
    errors.CannotConnectError: 503,
    errors.PermissionSourceError: 500,
    errors.ChatctlError: 500,
}

#: What clients are told where the error's own message would say too much of what is behind the server.
_TEXTS: dict[type[BaseException], str] = {
    errors.RowRefusedError: "The database refused the values.",
    errors.LockedError: "Another run is at work. Try again in a moment.",
    errors.BreakerOpenError: "The model's circuit breaker is open. Try again in a moment.",
    errors.ModelError: "The model gave no answer. Try again in a moment.",
    errors.PermissionSourceError: "The permission database gave no answer.",
    errors.CannotConnectError: "A server behind this one can't be reached. Try again in a moment.",
    errors.RefusedError: "The database takes no writes at the moment.",
    errors.RetryableError: "The database is busy. Try again in a moment.",
}


class Problem(Exception):  # noqa: N818 - it is an answer more than an error
    """An answer that ends a request: its status, its text, and headers; `body` takes the text's place."""

    def __init__(
        self, status: int, text: str, headers: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> None:
        self.status = status
        self.text = text
        self.headers = headers or {}
        self.body = body
        super().__init__(text)


def key_for(path: str) -> str:
    """Where the clients of the system that `path` belongs to look for an error's text."""
    return next((key for starts, key in _KEYS if path.startswith(starts)), "detail")


def status_of(error: BaseException) -> int:
    """The status that `error` is answered with."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def text_of(error: BaseException) -> str:
    """What a client may know of `error`."""
    told = next((_TEXTS[kind] for kind in type(error).__mro__ if kind in _TEXTS), None)
    if isinstance(error, InvalidTokenError):
        return error.message
    if told is not None:
        return told
    if isinstance(error, errors.ChatctlError) and status_of(error) < 500:
        return error.message
    return "Internal server error"


def answer(path: str, problem: Problem) -> Response:
    """The answer that `problem` is, to a request for `path`."""
    headers = dict(problem.headers)
    if problem.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    if problem.status == 503:
        headers.setdefault("Retry-After", str(RETRY_SECONDS))
    body = problem.body if problem.body is not None else {key_for(path): problem.text}
    return Response(pydantic_core.to_json(body), problem.status, headers, "application/json")


def install(app: FastAPI) -> None:
    """Lets the app answer every problem so."""

    @app.exception_handler(Problem)
    async def problem(request: Request, problem: Problem) -> Response:
        return answer(request.url.path, problem)

    @app.exception_handler(errors.ChatctlError)
    async def chatctl_error(request: Request, error: errors.ChatctlError) -> Response:
        status = status_of(error)
        if status >= 500:
            log.warning("%s %s: %s", request.method, request.url.path, error.message)
        return answer(request.url.path, Problem(status, text_of(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request.url.path, Problem(400, explain(error.errors())))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        return answer(request.url.path, Problem(500, text_of(error)))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(request))
        return answer(request.url.path, Problem(error.status_code, str(error.detail), headers))


def _methods(request: Request) -> list[str]:
    """What may be done with the request's path, by all of its routes: Starlette names those of the first one."""
    routes = request.app.router.routes
    path = next((route.path for route in routes if route.matches(request.scope)[0] is not Match.NONE), None)
    return sorted({method for route in routes if route.path == path for method in route.methods})


def explain(found: Any) -> str:
    """Validation errors in a sentence: where, and what was expected; never the value."""
    parts = []
    for item in list(found)[:5]:
        place = ".".join(str(part) for part in item["loc"] if part not in ("query", "path", "body"))
        parts.append(f"{place}: {item['msg']}" if place else str(item["msg"]))
    return "; ".join(parts) or "The request is not valid."
