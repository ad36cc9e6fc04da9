"""mentor: the requests of its guide, and a chat that isn't there."""

from __future__ import annotations

from chatctl.services.smoke.steps import Sender, Step, require, require_keys


def steps(smoke: Sender) -> list[Step]:
    """Make a chat, list chats, talk to a mentor, read what was said, count, and miss a chat."""

    def create() -> None:
        made = smoke.send("POST", "/chat/chats", 201, json=_with_mentor(smoke, {"title": "My Chat"}))
        require_keys(made, "id", "title")
        smoke.kept["chat"] = made["id"]

    def listed() -> None:
        found = smoke.send("GET", "/chat/chats")
        require(any(chat["id"] == smoke.kept["chat"] for chat in found), "the new chat in the list")

    def converse() -> None:
        answer = smoke.send("POST", "/mentor/chat", json=_with_mentor(smoke, {"prompt": "Hello"}))
        require(answer["success"] is True, "success")
        require_keys(answer["data"], "response", "chatId", "messageId", "memory", "usage")
        smoke.kept["talk"] = answer["data"]["chatId"]

    def read() -> None:
        messages = smoke.send("GET", f"/chat/chats/{smoke.kept['talk']}/messages", params={"limit": 100})
        require([message["role"] for message in messages[-2:]] == ["user", "assistant"], "question and answer")

    def missing() -> None:
        require(smoke.send("GET", "/chat/chats/no-such-chat", 404) == {"message": "Chat not found"}, "Chat not found")

    return [
        Step("create chat", create),
        Step("list chats", listed),
        Step("mentor chat", converse),
        Step("messages", read),
        Step("standalone messages", lambda: smoke.send("GET", "/mentor/messages") and None),
        Step("stats", lambda: require_keys(smoke.send("GET", "/chat/chats/stats"), "totalChats", "totalMessages")),
        Step("missing chat", missing),
    ]


def _with_mentor(smoke: Sender, body: dict[str, str]) -> dict[str, str]:
    return {"mentorId": smoke.mentor, **body} if smoke.mentor else body
