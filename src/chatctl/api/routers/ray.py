"""ray's endpoints: messages with their project, chat and user, and stopping what is under way."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from chatctl.api.bodies import Body, Identifier, JsonObject, Words, body_of, json_of, reply, validated
from chatctl.api.documents import OPTIONAL, responses, takes
from chatctl.api.parts import Parts, parts_of
from chatctl.api.problems import Problem
from chatctl.api.routes import system_router
from chatctl.domain.ray_messages import ANONYMOUS, missing_fields, old_fields
from chatctl.domain.sessions import iso
from chatctl.services.chatting.ray import RayRequest
from chatctl.services.identity.tokens import Caller

router = system_router("ray", "/api")

_ANSWERS = responses(400, 401, 403, 409, 413, 429, 500, 503)


class RayMessage(Body):
    """A message in the new format. Fields of the old one are ignored beside all the new ones."""

    message: Words
    project_id: Identifier
    chat_id: Identifier
    user_id: Identifier
    model: Identifier | None = None
    command_results: Annotated[list[JsonObject], Field(max_length=1_000)] | None = None


def _names_something(schema: dict[str, Any]) -> None:
    given = {"type": "string", "minLength": 1}
    schema["anyOf"] = [{"properties": {name: given}, "required": [name]} for name in ("task_id", "chat_id")]


class Stop(Body):
    """What to stop; a task's ID counts before a chat's."""

    model_config = ConfigDict(json_schema_extra=_names_something)

    task_id: Identifier | None = None
    chat_id: Identifier | None = None


@router.post("/vscode_user_message", responses=_ANSWERS, openapi_extra={**OPTIONAL, **takes(RayMessage)})
async def message(request: Request) -> Response:
    """Answers a message, and stores both. Without a token only the anonymous user is served."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request, anonymous=True)
    given = _understood(await json_of(request))
    wanted = RayRequest(
        given.message,
        given.project_id,
        given.chat_id,
        _user(parts, caller, given.user_id),
        given.model,
        given.command_results or (),
    )
    asked = parts.admission.run(parts.systems.ray.ask, wanted)
    response = await parts.in_flight.wait(wanted.user_id, wanted.chat_id, asked)
    if response is None:
        raise Problem(409, "The message was stopped.")
    stored_at = await parts.admission.run(parts.systems.ray.store, wanted, response)
    session_id = f"{wanted.project_id}:{wanted.chat_id}"
    return reply({"response": response, "session_id": session_id, "timestamp": iso(stored_at)})


@router.post("/agent/stop", responses=_ANSWERS, openapi_extra={**OPTIONAL, **takes(Stop)})
async def stop(request: Request) -> Response:
    """Stops a task, or what a chat waits for."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request, anonymous=True)
    given = await body_of(request, Stop)
    if given.task_id is None and given.chat_id is None:
        raise Problem(400, "Missing required fields: task_id or chat_id")
    cancelled = False
    if given.task_id is not None:
        if "toolboxai" in parts.served:
            cancelled = await parts.admission.run(parts.systems.toolboxai.cancel, caller.user_id, given.task_id)
    elif given.chat_id is not None:
        # Without tokens nothing in this request says whose chat it is.
        user = caller.user_id if parts.admission.auth else None
        cancelled = parts.in_flight.stop(user, given.chat_id)
    return reply(
        {
            "status": "stopped" if cancelled else "not_running",
            "cancelled": cancelled,
            "task_id": given.task_id,
            "chat_id": given.chat_id,
        }
    )


def _understood(body: Any) -> RayMessage:
    """The message. Raises Problem 400 that names what is missing, and how an old request becomes a new one."""
    if not isinstance(body, dict):
        raise Problem(400, "The body is no JSON object.")
    missing = missing_fields(body)
    if missing:
        text = f"Missing required fields: {', '.join(missing)}"
        old = old_fields(body)
        if not old:
            raise Problem(400, text)
        hint = f"{', '.join(old)} belong to the old format. chatctl payload upgrade rewrites such requests."
        raise Problem(400, text, body={"error": text, "hint": hint})
    return validated(body, RayMessage)


def _user(parts: Parts, caller: Caller, claimed: str) -> str:
    """Whose message it is: the token's user's; without a token, the anonymous user's alone."""
    if not parts.admission.auth:
        return claimed
    if not caller.known and claimed != ANONYMOUS:
        raise Problem(401, "Authentication required")
    return parts.admission.user(caller, None if claimed == ANONYMOUS else claimed)
