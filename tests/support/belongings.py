"""Somebody's things in every system, and a request for every route that is about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx

from chatctl.stores.sql.serving.ray import digest

SECRETS = ("bertas-secret",)
ANNA, BERTA = "anna", "berta"
RAY = {"project_id": "bertas-project-00000001", "chat_id": "chat-00000b0b"}

#: What changes nothing of anybody's and says nothing of anybody.
NOBODYS = {"/health", "/health/agents", "/health/mcp", "/api/health", "/metrics", "/openapi.json"}
NOBODYS |= {"/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout", "/api/login"}
NOBODYS |= {"/api/llm/diagnostics", "/api/v1/system/circuit-breakers", "/api/v1/events/{channel}"}


@dataclass
class Belongings:
    """What Berta has, by the name that paths give it."""

    mentor_chat: str
    numbered_chat: str
    session: str
    task: str

    def ids(self, path: str, name: str) -> str:
        """Berta's ID for a placeholder of `path`."""
        if name == "chat_id":
            return self.mentor_chat if path.startswith("/chat/") else self.numbered_chat
        return {"session_id": self.session, "task_id": self.task, "user_id": BERTA, "channel": "x"}[name]

    @property
    def guessable(self) -> list[str]:
        """All of her IDs, whatever they are for; that of ray's row can be computed by anybody."""
        row = digest(RAY["project_id"], RAY["chat_id"])
        return [self.mentor_chat, self.numbered_chat, self.session, self.task, RAY["chat_id"], row]


def belongings_of(berta: httpx.Client) -> Belongings:
    """Makes things of hers; `berta` sends her token."""
    chat = berta.post("/chat/chats", json={"title": SECRETS[0], "metadata": {"x": SECRETS[0]}}).json()["id"]
    berta.post(f"/chat/chats/{chat}/messages", json={"content": SECRETS[0]})
    berta.post("/mentor/chat", json={"prompt": SECRETS[0]})
    numbered = berta.post("/api/chats", json={}).json()["chat"]["chat_id"]
    berta.patch(f"/api/chats/{numbered}", json={"chat_name": SECRETS[0]})
    session = berta.post("/query", json={"query": SECRETS[0]}).json()["session_id"]
    berta.post("/api/vscode_user_message", json={"message": SECRETS[0], "user_id": BERTA, **RAY})
    task = berta.post(
        "/api/v1/agents/execute",
        json={
            "agent_type": "content_generator",
            "task_type": "generate_content",
            "task_data": {"subject": SECRETS[0]},
        },
    ).json()["task_id"]
    return Belongings(chat, numbered, session, task)


def filled(path: str, has: Belongings) -> str:
    """The path with Berta's IDs where they belong."""
    return re.sub("{(.*?)}", lambda found: has.ids(path, found[1]), path)


def requests(
    document: dict[str, Any], has: Belongings, guesses: tuple[str, ...] = ()
) -> list[tuple[str, str, dict[str, Any]]]:
    """Requests for every operation: with Berta's IDs where they belong, and with each of `guesses` in every place."""
    bodies = {
        "user_id": BERTA, "userId": BERTA, "accountId": BERTA, "account_id": BERTA, "owner": BERTA,
        "session_id": has.session, "chatId": has.mentor_chat, "task_id": has.task,
        "content": "overwritten", "prompt": "overwritten", "query": "overwritten", "message": "overwritten",
        "title": "overwritten", "isActive": False, "metadata": {}, "chat_name": "overwritten", "status": "closed",
        "first_message": "overwritten", "allowed_users": [ANNA],
        "agent_type": "content_generator", "task_type": "generate_content", **RAY,
    }  # fmt: skip
    made = []
    for path, operations in document["paths"].items():
        if path in NOBODYS:
            continue
        own = filled(path, has)
        for method in operations:
            made.append((method, own, {"json": bodies, "params": {"accountId": BERTA, "userId": BERTA}}))
            without_account = {**bodies, "chatId": None, "session_id": None}
            made.append((method, own, {"json": without_account, "params": {}}))
            for guess in guesses:
                unnamed = {name: value for name, value in bodies.items() if value != BERTA}
                body = {**unnamed, "chatId": guess, "session_id": guess, "task_id": guess, "user_id": ANNA}
                made.append((method, re.sub("{.*?}", guess, path), {"json": body, "params": {}}))
    return made
