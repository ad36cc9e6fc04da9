"""worker's endpoints."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from chatctl.api.bodies import TEXT_PATTERN, Body, Identifier, Text, body_of, reply
from chatctl.api.documents import leads_to, responses, takes
from chatctl.api.parts import Parts, parts_of
from chatctl.api.problems import Problem
from chatctl.api.routes import system_router
from chatctl.services.identity.tokens import Caller

router = system_router("worker")

_ANSWERS = responses(400, 401, 403, 404, 413, 429, 500, 503)
DEFAULT_ACCOUNT = "default"

Account = Annotated[str | None, Query(alias="accountId", min_length=1, max_length=255, pattern=TEXT_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=1_000)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]


def _asks(schema: dict[str, Any]) -> None:
    asked = {"type": "string", "minLength": 1}
    schema["anyOf"] = [{"properties": {name: asked}, "required": [name]} for name in ("query", "prompt")]


class Question(Body):
    """What is asked; `prompt` is another name of `query`."""

    model_config = ConfigDict(json_schema_extra=_asks)

    query: Text | None = None
    prompt: Text | None = None
    account_id: Identifier | None = Field(None, alias="accountId")
    session_id: Identifier | None = None


_OF_A_SESSION = (("worker_conversation", "session_id"), ("worker_delete", "session_id"))


@router.post(
    "/query",
    responses={**_ANSWERS, **leads_to(200, "$response.body#/session_id", *_OF_A_SESSION)},
    openapi_extra=takes(Question),
)
async def query(request: Request) -> Response:
    """Answers, and stores question and answer."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    given = await body_of(request, Question)
    prompt = given.query or given.prompt
    if not prompt:
        raise Problem(400, "No prompt provided")
    account = _account(parts, caller, given.account_id)
    return reply(await parts.admission.run(parts.systems.worker.query, prompt, account, given.session_id))


@router.get("/conversations", responses=_ANSWERS)
async def conversations(request: Request, account: Account = None, limit: Limit = 50, offset: Offset = 0) -> Response:
    """An account's conversations, newest access first."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    listed = parts.systems.worker.conversations
    return reply(await parts.admission.run(listed, _account(parts, caller, account), limit, offset))


@router.get("/conversations/{session_id}", responses=_ANSWERS)
async def conversation(request: Request, session_id: str) -> Response:
    """A conversation with its messages."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    return reply(await parts.admission.run(parts.systems.worker.conversation, _own(parts, caller), session_id))


@router.delete("/conversations/{session_id}", responses=_ANSWERS)
async def delete(request: Request, session_id: str) -> Response:
    """Deletes a conversation."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    await parts.admission.run(parts.systems.worker.delete, _own(parts, caller), session_id)
    return reply({"success": True})


@router.get("/storage-stats", responses=_ANSWERS)
async def stats(request: Request, account: Account = None) -> Response:
    """How much an account stores."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    return reply(await parts.admission.run(parts.systems.worker.stats, _account(parts, caller, account)))


@router.post("/purge", responses=_ANSWERS)
async def purge(request: Request, account: Account = None) -> Response:
    """Runs the retention policy on an account; on another's or on all of them for admins alone."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    if parts.admission.auth and not caller.is_admin and account != caller.user_id:
        raise Problem(403, "Purging another account, or all of them, is for admins.")
    return reply(await parts.admission.run(parts.systems.worker.purge, account))


def _account(parts: Parts, caller: Caller, given: str | None) -> str:
    """The account that is meant: the token's, which a request may name too."""
    if not parts.admission.auth:
        return given or DEFAULT_ACCOUNT
    return parts.admission.user(caller, given)


def _own(parts: Parts, caller: Caller) -> str | None:
    return caller.user_id if parts.admission.auth else None
