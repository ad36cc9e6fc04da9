"""simorgh: steps 5 and 6 of its guide, and its troubleshooting."""

from __future__ import annotations

from typing import Any

from chatctl.services.smoke.steps import Sender, Step, require, require_keys

_UNKNOWN_PROJECT = "99999999"


def steps(smoke: Sender) -> list[Step]:
    """Health, a general session and its title, a project's session, an unknown project, and the model."""

    def healthy() -> None:
        body = smoke.send("GET", "/api/health")
        require_keys(body, "status", "services")
        require_keys(body["services"], "redis", "sql_auth", "llm", "neo4j")

    def general() -> None:
        body = {"chat_name": "Test General", "user_id": smoke.user, "chat_type": "general"}
        chat = smoke.send("POST", "/api/chats", json=body)["chat"]
        require(str(chat["chat_id"]).startswith("G-"), "an ID that begins with G-")
        require(chat["chat_name"] == "New conversation", "the name 'New conversation'")
        smoke.kept["chat"] = chat["chat_id"]

    def title() -> None:
        form = {"first_message": (None, "How do I configure panel X?")}
        body = smoke.send("POST", f"/api/chats/{smoke.kept['chat']}/generate-title", files=form)
        require(bool(body.get("title") or body.get("chat_name")), "a title")

    def project() -> None:
        answer = smoke.send("POST", "/api/chats", (200, 403), json=_project(smoke, str(smoke.project)))
        require("chat" not in answer or str(answer["chat"]["chat_id"]).startswith("P-"), "an ID that begins with P-")

    def unknown() -> None:
        # Where nobody configured a permission database, nobody is let in: 403.
        smoke.send("POST", "/api/chats", (404, 403), json=_project(smoke, _UNKNOWN_PROJECT))

    def wrong() -> None:
        smoke.send("POST", "/api/chats", 400, json={"user_id": smoke.user, "chat_type": "project"})

    found = [Step("health", healthy), Step("general session", general), Step("generate title", title)]
    if smoke.project:
        found.append(Step("project session", project))
    return [
        *found,
        Step("unknown project", unknown),
        Step("project session without its fields", wrong),
        Step("model diagnostics", lambda: smoke.send("GET", "/api/llm/diagnostics") and None),
    ]


def _project(smoke: Sender, project: str) -> dict[str, Any]:
    names = {"chat_name": "Panel Analysis", "page_name": "Panel Analysis"}
    return {**names, "user_id": smoke.user, "chat_type": "project", "project_number": project}
