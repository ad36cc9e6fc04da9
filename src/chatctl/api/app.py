"""Puts the app together: the routers of the systems that are served, and what stands around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
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


def operation_id(route: APIRoute) -> str:
    """The operation's name in the OpenAPI document."""
    return f"{route.tags[0]}_{route.name}"


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
        generate_unique_id_function=operation_id,
    )
    app.state.parts = parts
    problems.install(app)
    app.include_router(system.router)
    if "ray" in parts.served:
        app.include_router(logins.ray)
    if "toolboxai" in parts.served:
        app.include_router(logins.toolboxai)
    for name in parts.served:
        app.include_router(_ROUTERS[name])
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
