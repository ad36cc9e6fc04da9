"""mentor's endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from chatctl.api.bodies import TEXT_PATTERN, Body, Count, Identifier, JsonObject, Title, Words, body_of, reply
from chatctl.api.documents import leads_to, responses, takes
from chatctl.api.events import event
from chatctl.api.parts import parts_of
from chatctl.api.problems import text_of
from chatctl.api.routes import system_router
from chatctl.errors import ChatctlError

router = system_router("mentor")

_ANSWERS = responses(400, 401, 404, 413, 429, 500, 503)

Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]


class NewChat(Body):
    """A chat, with a mentor or without."""

    mentor_id: Identifier | None = Field(None, alias="mentorId")
    title: Title | None = None
    metadata: JsonObject | None = None


class ChatChange(Body):
    """What is left out stays."""

    title: Title | None = None
    is_active: bool = Field(True, alias="isActive")
    metadata: JsonObject | None = None


class NewMessage(Body):
    """A message."""

    role: Annotated[str, Field(pattern="^(user|assistant|system)$")] = "user"
    content: Words
    prompt: Words | None = None
    model: Identifier | None = None
    tokens: Count | None = None
    metadata: JsonObject | None = None


class Prompt(Body):
    """What a mentor, or nobody in particular, is asked."""

    prompt: Words
    mentor_id: Identifier | None = Field(None, alias="mentorId")
    chat_id: Identifier | None = Field(None, alias="chatId")


_OF_A_CHAT = tuple(
    (f"mentor_{name}", "chat_id") for name in ("get_chat", "change_chat", "delete_chat", "list_messages", "add_message")
)


@router.post(
    "/chat/chats",
    status_code=201,
    responses={**_ANSWERS, **leads_to(201, "$response.body#/id", *_OF_A_CHAT)},
    openapi_extra=takes(NewChat),
)
async def create_chat(request: Request) -> Response:
    """Makes a chat."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    given = await body_of(request, NewChat)
    made = await parts.admission.run(parts.systems.mentor.create_chat, caller.user_id, given.model_dump())
    return reply(made, 201)


@router.get("/chat/chats", responses=_ANSWERS)
async def list_chats(
    request: Request,
    mentor_id: Annotated[str | None, Query(alias="mentorId", max_length=255, pattern=TEXT_PATTERN)] = None,
    is_active: Annotated[bool, Query(alias="isActive")] = True,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Response:
    """The user's chats, newest updated first, each with its last message and their number."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    chats = parts.systems.mentor.chats
    return reply(await parts.admission.run(chats, caller.user_id, mentor_id, is_active, limit, offset))


@router.get("/chat/chats/stats", responses=_ANSWERS)
async def stats(request: Request) -> Response:
    """The user's active chats, counted."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    return reply(await parts.admission.run(parts.systems.mentor.stats, caller.user_id))


@router.get("/chat/chats/{chat_id}", responses=_ANSWERS)
async def get_chat(request: Request, chat_id: str) -> Response:
    """A chat with its messages."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    return reply(await parts.admission.run(parts.systems.mentor.chat, caller.user_id, chat_id))


@router.put("/chat/chats/{chat_id}", responses=_ANSWERS, openapi_extra=takes(ChatChange))
async def change_chat(request: Request, chat_id: str) -> Response:
    """Changes title, activity or metadata."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    values = (await body_of(request, ChatChange)).model_dump(exclude_unset=True)
    return reply(await parts.admission.run(parts.systems.mentor.change_chat, caller.user_id, chat_id, values))


@router.delete("/chat/chats/{chat_id}", responses=_ANSWERS)
async def delete_chat(request: Request, chat_id: str) -> Response:
    """Takes a chat out of sight; nothing is lost."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    await parts.admission.run(parts.systems.mentor.delete_chat, caller.user_id, chat_id)
    return reply({"success": True, "message": "Chat deleted"})


@router.get("/chat/chats/{chat_id}/messages", responses=_ANSWERS)
async def list_messages(request: Request, chat_id: str, limit: Limit = 50, offset: Offset = 0) -> Response:
    """A page of a chat's messages, oldest first."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    return reply(await parts.admission.run(parts.systems.mentor.messages, caller.user_id, chat_id, limit, offset))


@router.post("/chat/chats/{chat_id}/messages", status_code=201, responses=_ANSWERS, openapi_extra=takes(NewMessage))
async def add_message(request: Request, chat_id: str) -> Response:
    """Adds a message to a chat, which moves to the front."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    given: dict[str, Any] = (await body_of(request, NewMessage)).model_dump()
    return reply(await parts.systems.mentor.add_message(caller.user_id, chat_id, given), 201)


@router.post(
    "/mentor/chat",
    responses={**_ANSWERS, **leads_to(200, "$response.body#/data/chatId", *_OF_A_CHAT)},
    openapi_extra=takes(Prompt),
)
async def converse(request: Request) -> Response:
    """Answers a prompt; question and answer are stored together.

    Whoever accepts text/event-stream gets the answer as it comes, in events `piece`, and then `done` with the rest.
    """
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    given = await body_of(request, Prompt)
    if "text/event-stream" in request.headers.get("accept", ""):
        asked = (caller.user_id, given.prompt, given.mentor_id, given.chat_id)
        pieces = parts.systems.mentor.converse_in_pieces(*asked)
        # What keeps an answer from beginning is told by the status.
        first = await parts.admission.run(next, pieces)
        return StreamingResponse(_events(first, pieces), media_type="text/event-stream")
    converse = parts.systems.mentor.converse
    data = await parts.admission.run(converse, caller.user_id, given.prompt, given.mentor_id, given.chat_id)
    return reply({"success": True, "data": data})


def _events(first: Any, rest: Iterator[Any]) -> Iterator[bytes]:
    try:
        for item in chain([first], rest):
            yield event("piece", item) if isinstance(item, str) else event("done", {"success": True, "data": item})
    except ChatctlError as problem:
        yield event("error", {"message": text_of(problem)})


@router.get("/mentor/messages", responses=_ANSWERS)
async def standalone_messages(request: Request, limit: Limit = 50, offset: Offset = 0) -> Response:
    """The user's messages that belong to no chat, newest first."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    return reply(await parts.admission.run(parts.systems.mentor.standalone, caller.user_id, limit, offset))


@router.get("/mentor/chats", responses=_ANSWERS)
async def mentor_chats(request: Request, limit: Limit = 50, offset: Offset = 0) -> Response:
    """The user's active chats."""
    parts = parts_of(request)
    caller = await parts.admission.admit(request)
    return reply(await parts.admission.run(parts.systems.mentor.chats, caller.user_id, None, True, limit, offset))
