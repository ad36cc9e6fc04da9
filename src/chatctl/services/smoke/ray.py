"""ray: its guide's test script."""

from __future__ import annotations

from typing import Any

from chatctl.domain.ray_messages import ANONYMOUS
from chatctl.services.smoke.steps import Sender, Step, require, require_keys

_MESSAGE = "Hello, can you help me write a Python function?"
_RESULT = {
    "command": "write",
    "args": ["test.py", "def hello(): return 'world'"],
    "ok": True,
    "output": "File 'test.py' written successfully",
}


def steps(smoke: Sender) -> list[Step]:
    """Log in, send a message, send one with command results, and one that lacks its fields."""

    def login() -> None:
        body = smoke.send("POST", "/api/login", (200, 401), json={"username": "demo", "password": "password"})
        # As in the script: where the demo account can't log in, the anonymous user goes on.
        smoke.kept["user_id"] = body.get("user_id", ANONYMOUS)
        if "token" in body:
            smoke.kept["headers"] = {"Authorization": f"Bearer {body['token']}"}

    def send(**more: Any) -> None:
        body = {"message": _MESSAGE, "model": None, **_ids(smoke), **more}
        answer = smoke.send("POST", "/api/vscode_user_message", json=body, headers=smoke.kept.get("headers", {}))
        require_keys(answer, "response", "session_id", "timestamp")
        require(answer["session_id"] == f"{body['project_id']}:{body['chat_id']}", "the session of that chat")

    def incomplete() -> None:
        headers = smoke.kept.get("headers", {})
        answer = smoke.send("POST", "/api/vscode_user_message", 400, json={"message": _MESSAGE}, headers=headers)
        require("Missing required fields" in str(answer.get("error")), "an error that names the missing fields")

    return [
        Step("login", login),
        Step("message", send),
        Step("command results", lambda: send(command_results=[_RESULT])),
        Step("missing fields", incomplete),
    ]


def _ids(smoke: Sender) -> dict[str, str]:
    user = smoke.kept.get("user_id", ANONYMOUS)
    # Each user has a chat of his own: one belongs to whoever wrote to it first.
    chat = "chat-abcdef01" if user != ANONYMOUS else "chat-abcdef00"
    return {"project_id": "test-project-12345678", "chat_id": chat, "user_id": user}
