"""toolboxai's endpoints, but for logging in."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from chatctl.api.bodies import Body, Identifier, JsonObject, body_of, reply
from chatctl.api.documents import PUBLIC, leads_to, responses, takes
from chatctl.api.parts import parts_of
from chatctl.api.routes import system_router
from chatctl.domain.sessions import iso
from chatctl.services.chatting.agents import NO_AGENT

router = system_router("toolboxai")

_ANSWERS = responses(400, 401, 404, 413, 429, 500, 503)


class Execution(Body):
    """What an agent shall do."""

    agent_type: Identifier
    task_type: Identifier
    task_data: JsonObject = {}


@router.post(
    "/api/v1/agents/execute",
    responses={**_ANSWERS, **leads_to(200, "$response.body#/task_id", ("toolboxai_task", "task_id"))},
    openapi_extra=takes(Execution),
)
async def execute(request: Request) -> Response:
    """Has an agent carry out a task. With no idle agent it is queued, and its result is to be asked for later."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    given = await body_of(request, Execution)
    agents = parts.systems.toolboxai
    arguments = (caller.user_id, given.agent_type, given.task_type, given.task_data)
    task, future = await parts.admission.run(agents.submit, *arguments)
    if future is None:
        return reply({"success": False, "task_id": task, "status": "queued", "message": NO_AGENT, "result": None})
    try:
        async with asyncio.timeout(parts.settings.max_generation_seconds):
            return reply(await asyncio.wrap_future(future))
    except TimeoutError:
        return reply(await parts.admission.run(agents.task, caller.user_id, task))


@router.get("/api/v1/agents/tasks/{task_id}", responses=_ANSWERS)
async def task(request: Request, task_id: str) -> Response:
    """One of the user's tasks, with its result once there is one."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    return reply(await parts.admission.run(parts.systems.toolboxai.task, caller.user_id, task_id))


@router.get("/health/agents", responses=responses(400, 413, 500, 503), openapi_extra=PUBLIC)
async def health_agents(request: Request) -> Response:
    """The agents by what they are doing, and the length of their queue."""
    parts = parts_of(request)
    return reply({"status": parts.checks.status, **await parts.admission.run(parts.systems.toolboxai.health)})


@router.get("/health/mcp", responses=responses(400, 413, 500, 503), openapi_extra=PUBLIC)
async def health_mcp(request: Request) -> Response:
    """The MCP server: this server has none."""
    return reply({"status": "healthy", "mcp": parts_of(request).checks.services["mcp"]})


@router.get("/api/v1/system/circuit-breakers", responses=_ANSWERS)
async def breakers(request: Request) -> Response:
    """Every breaker and its state, as all servers on this database see it."""
    parts = parts_of(request)
    await parts.admission.admit(request)
    rows = await parts.admission.run(parts.systems.breaker_rows.all)
    return reply({"circuit_breakers": {row["name"]: _breaker(row) for row in rows}, "total": len(rows)})


def _breaker(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "state": row["state"],
        "failure_count": row["failure_count"],
        "last_failure_time": iso(row["last_failure_at"]),
        "next_attempt_time": iso(row["next_attempt_at"]),
    }


@router.get(
    "/api/v1/events/{channel}",
    responses={200: {"content": {"text/event-stream": {}}}, **_ANSWERS},
    response_class=StreamingResponse,
)
async def events(request: Request, channel: str) -> Response:
    """What happens to the user's tasks, as server-sent events: generation-started, agent-status-update,
    content-generated."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request, rules=parts.stream_rules)
    stream = parts.hub.listen(channel, caller.user_id if parts.admission.auth else None)
    return StreamingResponse(stream, media_type="text/event-stream")
