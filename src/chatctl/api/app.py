"""Puts the app together: the routers of the systems that are served, and what stands around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from chatctl import __version__
from chatctl.api import problems
from chatctl.api.documents import describe
from chatctl.api.outermost import Outermost
from chatctl.api.parts import Parts
from chatctl.api.routers import logins, mentor, ray, simorgh, system, toolboxai, worker

_ROUTERS = {
    "ray": ray.router,
    "toolboxai": toolboxai.router,
    "mentor": mentor.router,
    "simorgh": simorgh.router,
    "worker": worker.router,
}
_LOGINS = {"ray": logins.ray, "toolboxai": logins.toolboxai}


def create_app(parts: Parts) -> ASGIApp:
    """The ASGI app of `parts`."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await parts.start()
        try:
            yield
        finally:
            await parts.stop()

    app = FastAPI(
        title="chatctl",
        version=__version__,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.parts = parts
    problems.install(app)
    chosen = [_ROUTERS[name] for name in parts.served] + [_LOGINS[name] for name in parts.served if name in _LOGINS]
    # Put in as they are: a router that is included is asked for its match twice.
    app.router.routes.extend(route for router in (*chosen, system.router) for route in router.routes)
    app.openapi = describe(app, auth=parts.options.auth)  # type: ignore[method-assign]
    if parts.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(parts.settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"],
        )
    return Outermost(app, parts.figures, parts.settings.body_bytes, parts.checks.answer)
