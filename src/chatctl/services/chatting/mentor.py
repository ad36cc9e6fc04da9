"""mentor: chats, messages, and conversations with a mentor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from chatctl.domain.prompts import Answer, Message, tokens_of
from chatctl.domain.sessions import iso
from chatctl.errors import NotFoundError, RepeatedKeyError
from chatctl.services.chatting.answering import Answering
from chatctl.stores.sql.serving.gateway import Gateway
from chatctl.stores.sql.serving.mentor import MentorRows

GENERAL_TITLE = "General Chat"
CHAT_MISSING = "Chat not found"
MENTOR_MISSING = "Mentor not found"

_HISTORY = 50
_ATTEMPTS = 5
_NAMES = {
    "user_id": "userId",
    "mentor_id": "mentorId",
    "is_active": "isActive",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "chat_id": "chatId",
    "task_id": "taskId",
    "last_message": "lastMessage",
    "message_count": "messageCount",
}

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Now, to the millisecond, which is what the coarsest layout keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Mentor:
    """What the mentor system's endpoints do. Every method is given the user that the token names."""

    def __init__(
        self, gateway: Gateway, rows: MentorRows, answering: Answering, *, makes_users: bool, makes_mentors: bool
    ) -> None:
        self._gateway = gateway
        self._rows = rows
        self._answering = answering
        self._makes_users = makes_users
        self._makes_mentors = makes_mentors

    def create_chat(self, user: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a chat; raises NotFoundError for an unknown mentor."""
        now = utc_now()

        def work(connection: Any) -> dict[str, Any]:
            self._require_user(connection, user, now)
            self._make_mentor(connection, given.get("mentor_id"), now)
            self._require_mentor(connection, user, given.get("mentor_id"))
            return self._rows.add_chat(connection, user, now, **given)

        return camel(self._gateway.write(work))

    def chats(self, user: str, mentor: str | None, active: bool, limit: int, offset: int) -> list[dict[str, Any]]:
        """A page of the user's chats, newest updated first, each with its last message and their number."""
        found = self._gateway.read(lambda c: self._rows.chats(c, user, mentor, active, limit, offset))
        return [camel(chat) for chat in found]

    def chat(self, user: str, chat: str, limit: int = 1_000) -> dict[str, Any]:
        """A chat with its messages (the newest `limit` of them); raises NotFoundError."""

        def work(connection: Any) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
            found = self._rows.chat(connection, user, chat)
            return found, self._rows.messages(connection, chat, limit, newest=True) if found else []

        found, messages = self._gateway.read(work)
        return {**camel(_found(found)), "messages": [camel(message) for message in messages]}

    def change_chat(self, user: str, chat: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Changes title, activity or metadata; raises NotFoundError."""
        now = utc_now()

        def work(connection: Any) -> dict[str, Any] | None:
            if not self._rows.change_chat(connection, user, chat, now, **values):
                return None
            return self._rows.chat(connection, user, chat)

        return camel(_found(self._gateway.write(work)))

    def delete_chat(self, user: str, chat: str) -> None:
        """Takes a chat out of sight; its rows stay. Raises NotFoundError."""
        self.change_chat(user, chat, {"is_active": False})

    def stats(self, user: str) -> dict[str, int]:
        """The user's active chats and their messages, counted."""
        found = self._gateway.read(lambda connection: self._rows.stats(connection, user))
        return {
            "totalChats": found["chats"],
            "totalMessages": found["messages"],
            "mentorChats": found["mentor_chats"],
            "standaloneChats": found["standalone"],
        }

    def messages(self, user: str, chat: str, limit: int, offset: int) -> list[dict[str, Any]]:
        """A page of a chat's messages in their order; raises NotFoundError."""

        def work(connection: Any) -> list[dict[str, Any]] | None:
            if self._rows.chat(connection, user, chat) is None:
                return None
            return self._rows.messages(connection, chat, limit, offset)

        return [camel(message) for message in _found(self._gateway.read(work))]

    async def add_message(self, user: str, chat: str, message: dict[str, Any]) -> dict[str, Any]:
        """Adds a message, durably; no thread waits meanwhile. Raises NotFoundError."""
        now, rows = utc_now(), self._rows
        made = await self._gateway.submit_from_loop(lambda c: rows.add_message(c, user, chat, now, message))
        return camel(_found(made))

    def standalone(self, user: str, limit: int, offset: int) -> list[dict[str, Any]]:
        """The user's messages outside any chat."""
        found = self._gateway.read(lambda connection: self._rows.standalone(connection, user, limit, offset))
        return [camel(message) for message in found]

    def converse(self, user: str, prompt: str, mentor: str | None, chat: str | None) -> dict[str, Any]:
        """Answers a prompt, in the chat of that user and mentor, or in `chat`, or else in a new one.

        Question and answer are stored together or not at all. Raises NotFoundError, ModelError.
        """
        place, history, system = self._conversation(user, mentor, chat)
        answer = self._answering.reply(prompt, history, system)
        return self._stored(user, mentor, place, prompt, answer, len(history))

    def converse_in_pieces(
        self, user: str, prompt: str, mentor: str | None, chat: str | None
    ) -> Iterator[str | dict[str, Any]]:
        """The same, the answer's text as it comes, and at the end, once it is stored, what `converse` returns."""
        place, history, system = self._conversation(user, mentor, chat)
        pieces = []
        for piece in self._answering.stream(prompt, history, system):
            pieces.append(piece)
            yield piece
        text = "".join(pieces)
        answer = Answer(text, self._answering.model.name, tokens_of(prompt), tokens_of(text))
        yield self._stored(user, mentor, place, prompt, answer, len(history))

    def _conversation(
        self, user: str, mentor: str | None, chat: str | None
    ) -> tuple[str | None, list[Message], str | None]:
        place, history, name = self._gateway.read(lambda connection: self._place(connection, user, mentor, chat))
        system = f"You are the mentor {name}." if name else None
        return place, [Message(message["role"], message["content"]) for message in history], system

    def _stored(
        self, user: str, mentor: str | None, place: str | None, prompt: str, answer: Answer, remembered: int
    ) -> dict[str, Any]:
        shared: dict[str, Any] = {"prompt": prompt, "mentor_id": mentor}
        asked = {"role": "user", "content": prompt, **shared}
        answered = {"role": "assistant", "content": answer.text, **shared}
        answered |= {"model": answer.model, "tokens": answer.completion_tokens}
        chat_id, message_id = self._store(user, mentor, place, asked, answered)
        return {
            "response": answer.text,
            "chatId": chat_id,
            "messageId": message_id,
            "memory": {"messages": remembered, "mentorId": mentor},
            "usage": answer.usage,
        }

    def _place(
        self, connection: Any, user: str, mentor: str | None, chat: str | None
    ) -> tuple[str | None, Any, str | None]:
        """The chat to go on with, its newest messages, and the mentor's name."""
        name = None
        if mentor is not None:
            if not self._makes_mentors:
                self._require_mentor(connection, user, mentor)
            name = self._rows.people.value(connection, "mentors", mentor, "name") or mentor
        if chat is not None:
            found = _found(self._rows.chat(connection, user, chat))
            if not found["is_active"] or (mentor is not None and found["mentor_id"] != mentor):
                raise NotFoundError(CHAT_MISSING)
            place: str | None = chat
        else:
            place = self._rows.mentor_chat(connection, user, mentor) if mentor is not None else None
        history = self._rows.messages(connection, place, _HISTORY, newest=True) if place else []
        # The chat of the two is looked up again where the pair is stored: it may be made by then.
        return chat, history, name

    def _store(
        self, user: str, mentor: str | None, chat: str | None, asked: dict[str, Any], answered: dict[str, Any]
    ) -> tuple[str, str]:
        now = utc_now()

        def work(connection: Any) -> tuple[str, str] | None:
            self._require_user(connection, user, now)
            self._make_mentor(connection, mentor, now)
            place = chat
            if place is None and mentor is not None:
                place = self._rows.get_or_add_mentor_chat(connection, user, mentor, now)
            elif place is None:
                place = str(self._rows.add_chat(connection, user, now, title=GENERAL_TITLE)["id"])
            message = self._rows.add_pair(connection, user, place, now, asked, answered)
            return (place, message) if message is not None else None

        for attempt in range(_ATTEMPTS):
            try:
                stored: tuple[str, str] = _found(self._gateway.write(work))
                return stored
            except RepeatedKeyError:
                # Another request has just made the chat of the two: now it is there to be found.
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")  # pragma: no cover

    def _require_user(self, connection: Any, user: str, now: datetime) -> None:
        if self._makes_users:
            self._rows.people.require(connection, "users", user, now)

    def _make_mentor(self, connection: Any, mentor: str | None, now: datetime) -> None:
        if self._makes_mentors and mentor is not None:
            self._rows.people.require(connection, "mentors", mentor, now, name=mentor)

    def _require_mentor(self, connection: Any, user: str, mentor: str | None) -> None:
        """Raises NotFoundError where there is no such mentor, or where the application says whose it is: another's."""
        if mentor is None:
            return
        people = self._rows.people
        owner = people.value(connection, "mentors", mentor, "user_id")
        if owner not in (None, user) or not people.exists(connection, "mentors", mentor):
            raise NotFoundError(MENTOR_MISSING)


def camel(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row under the names of the wire, its times as ISO 8601."""
    return {_NAMES.get(key, key): _wire(value) for key, value in row.items()}


def _wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    return camel(value) if isinstance(value, dict) and "created_at" in value and "role" in value else value


def _found(value: Any) -> Any:
    if value is None:
        raise NotFoundError(CHAT_MISSING)
    return value
