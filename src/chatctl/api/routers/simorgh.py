"""simorgh's endpoints."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from chatctl.api.bodies import TEXT_PATTERN, Body, Identifier, Text, Title, Words, body_of, form_of, reply, validated
from chatctl.api.checks import NOT_CONFIGURED
from chatctl.api.documents import PUBLIC, leads_to, responses, takes, takes_form
from chatctl.api.parts import parts_of
from chatctl.api.problems import Problem
from chatctl.api.routes import system_router
from chatctl.domain.session_ids import why_no_project
from chatctl.services.chatting.simorgh import STATUSES

router = system_router("simorgh", "/api")

_ANSWERS = responses(400, 401, 403, 404, 413, 429, 500, 503)

Limit = Annotated[int, Query(ge=1, le=1_000)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]


def _fits_together(schema: dict[str, Any]) -> None:
    project = {
        "chat_type": {"const": "project"},
        "project_number": {"type": "string", "pattern": "^[A-Za-z0-9]$|^[A-Za-z0-9][A-Za-z0-9_]{0,50}[A-Za-z0-9]$"},
        "page_name": {"type": "string", "pattern": "[A-Za-z0-9]"},
    }
    absent = {"type": "null"}
    general = {"chat_type": {"const": "general"}, "project_number": absent, "page_name": absent}
    schema["anyOf"] = [{"properties": general}, {"properties": project, "required": list(project)}]


class NewSession(Body):
    """A general session, or one of a project's pages."""

    model_config = ConfigDict(json_schema_extra=_fits_together)

    chat_name: Title | None = None
    user_id: Identifier | None = None
    chat_type: Text = "general"
    project_number: Identifier | None = None
    page_name: Title | None = None


class SessionChange(Body):
    """What is left out stays."""

    chat_name: Annotated[Title, Field(min_length=1)] | None = None
    status: Annotated[str, Field(pattern=f"^({'|'.join(STATUSES)})$")] | None = None


class Guests(Body):
    """Everybody else who may see the session."""

    allowed_users: Annotated[list[Identifier], Field(max_length=100)]


class FirstMessage(Body):
    """What the conversation begins with."""

    first_message: Words


_OF_A_CHAT = tuple((f"simorgh_{name}", "chat_id") for name in ("get", "change", "delete", "generate_title", "share"))


@router.post(
    "/chats",
    responses={**_ANSWERS, **leads_to(200, "$response.body#/chat/chat_id", *_OF_A_CHAT)},
    openapi_extra=takes(NewSession),
)
async def create(request: Request) -> Response:
    """Creates a session; one of a project only where the user may enter it."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    given = await body_of(request, NewSession)
    _require_fitting(given)
    user = parts.admission.user(caller, given.user_id)
    simorgh = parts.systems.simorgh
    arguments = (user, given.project_number, given.page_name, given.chat_name)
    chat = await parts.admission.run(simorgh.create, *arguments)
    project = chat.get("project_name") or chat.get("project_number")
    message = f"Project session created for {project}" if given.chat_type == "project" else "General session created"
    return reply({"status": "success", "chat": chat, "message": message})


def _require_fitting(given: NewSession) -> None:
    """Raises Problem 400 where the fields don't belong together."""
    if given.chat_type == "general":
        if given.project_number is not None or given.page_name is not None:
            raise Problem(400, "A general chat has no project_number and no page_name")
    elif given.chat_type == "project":
        if given.project_number is None or not (given.page_name or "").strip():
            raise Problem(400, "A project chat needs project_number and page_name")
        if (reason := why_no_project(given.project_number)) is not None:
            raise Problem(400, f"project_number: {reason}")
    else:
        raise Problem(400, "chat_type is 'general' or 'project'")


@router.get("/chats/{chat_id}", responses=_ANSWERS)
async def get(request: Request, chat_id: str, limit: Limit = 50, offset: Offset = 0) -> Response:
    """A session with a page of its history, oldest first."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    owner = parts.admission.owner(caller)
    return reply(await parts.admission.run(parts.systems.simorgh.get, owner, chat_id, limit, offset))


@router.patch("/chats/{chat_id}", responses=_ANSWERS, openapi_extra=takes(SessionChange))
async def change(request: Request, chat_id: str) -> Response:
    """Changes a session's name or status."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    values = (await body_of(request, SessionChange)).model_dump(exclude_none=True)
    owner = parts.admission.owner(caller)
    chat = await parts.admission.run(parts.systems.simorgh.change, owner, chat_id, values)
    return reply({"status": "success", "chat": chat})


@router.delete("/chats/{chat_id}", responses=_ANSWERS)
async def delete(request: Request, chat_id: str) -> Response:
    """Deletes a session with its history."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    await parts.admission.run(parts.systems.simorgh.delete, parts.admission.owner(caller), chat_id)
    return reply({"status": "success", "message": "Chat deleted"})


@router.post("/chats/{chat_id}/generate-title", responses=_ANSWERS, openapi_extra=takes_form(FirstMessage))
async def generate_title(request: Request, chat_id: str) -> Response:
    """Names a session after its first message."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    given = validated(await form_of(request), FirstMessage)
    title = parts.systems.simorgh.title
    chat = await parts.admission.run(title, parts.admission.owner(caller), chat_id, given.first_message)
    return reply({"status": "success", "chat_id": chat_id, "title": chat["chat_name"], "chat_name": chat["chat_name"]})


@router.put("/chats/{chat_id}/allowed-users", responses=_ANSWERS, openapi_extra=takes(Guests))
async def share(request: Request, chat_id: str) -> Response:
    """Lets exactly these users in; guests of a project's session must hold its permission themselves."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    given = await body_of(request, Guests)
    owner = parts.admission.owner(caller)
    guests = await parts.admission.run(parts.systems.simorgh.share, owner, chat_id, given.allowed_users)
    return reply({"status": "success", "chat_id": chat_id, "allowed_users": guests})


@router.get("/users/{user_id}/chats", responses=_ANSWERS)
async def list_of_user(
    request: Request,
    user_id: str,
    project: Annotated[
        str | None, Query(alias="project_number", min_length=1, max_length=255, pattern=TEXT_PATTERN)
    ] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Response:
    """The user's own sessions, newest first."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    user = parts.admission.user(caller, user_id)
    found = await parts.admission.run(parts.systems.simorgh.page, user, project, limit, offset)
    return reply({"status": "success", "user_id": user, **found})


@router.get("/llm/diagnostics", responses=_ANSWERS)
async def diagnostics(request: Request) -> Response:
    """What the model is, whether it answers, and how its breaker stands."""
    parts = parts_of(request)
    await parts.admission.admit(request)
    answering = parts.systems.answering
    found = parts.checks.services.get("model", {"status": NOT_CONFIGURED})
    return reply(
        {
            "status": found["status"],
            "configured": answering.model.configured,
            "model": answering.model.name,
            "breaker": await parts.admission.run(lambda: answering.breaker.state),
            "check": found,
        }
    )


@router.get("/health", responses=responses(400, 413, 503), openapi_extra=PUBLIC)
async def health(request: Request) -> Response:
    """The servers behind this one, under the system's own names."""
    checks = parts_of(request).checks
    services: dict[str, Any] = {
        "redis": checks.services["redis"],
        "sql_auth": checks.services["sql_auth"],
        "llm": checks.services["model"],
        "neo4j": {"status": NOT_CONFIGURED},
    }
    return reply({"status": checks.status, "services": services}, 503 if checks.status == "unhealthy" else 200)
