"""What belongs to no system: health, figures, and the API's own description."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from chatctl.api.bodies import reply
from chatctl.api.documents import PUBLIC, responses
from chatctl.api.parts import parts_of
from chatctl.api.routes import system_router

router = system_router("system")


@router.get("/health", responses=responses(503), openapi_extra=PUBLIC)
async def health(request: Request) -> Response:
    """Whether the servers behind this one answer; checked once a second."""
    status, body = parts_of(request).checks.answer()
    return Response(body, status, media_type="application/json")


@router.get(
    "/metrics",
    responses={200: {"content": {"text/plain": {}}}, **responses(400, 401, 413, 429, 500, 503)},
    response_class=Response,
)
async def metrics(request: Request) -> Response:
    """Prometheus' figures: requests, the model's tokens, runs of the command line."""
    parts = parts_of(request)
    await parts.admission.admit(request)
    return Response(await parts.admission.run(parts.figures.text), media_type="text/plain; version=0.0.4")


@router.get("/openapi.json", responses=responses(400, 401, 413, 429, 500, 503))
async def openapi(request: Request) -> Response:
    """This document."""
    await parts_of(request).admission.admit(request)
    return reply(request.app.openapi())
