"""The guides' requests by curl, as they are written: with a token where they send one, without where they do not."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.api import Api

Curl = Callable[..., tuple[int, Any]]

JSON = ("-H", "Content-Type: application/json")
TASK = {"subject": "Test", "grade_level": 5}


@pytest.fixture
def curl() -> Curl:
    """Sends by curl; the status and the answer's JSON."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")

    def send(*arguments: str) -> tuple[int, Any]:
        command = [program, "-s", "-w", "\n%{http_code}", *arguments]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        body, _, status = text.rpartition("\n")
        return int(status), json.loads(body)

    return send


def bearer(api: Api, user: str) -> tuple[str, str]:
    return "-H", f"Authorization: Bearer {api.token(user)}"


def posted(body: Any) -> tuple[str, ...]:
    return "-X", "POST", *JSON, "-d", json.dumps(body)


def test_mentors_requests(api: Api, curl: Curl) -> None:
    with api.wiring.serving.gateway.database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO mentors (id, name) VALUES ('mentor_id', 'Minerva')")
    token = bearer(api, "maria")
    status, made = curl(f"{api.url}/chat/chats", *token, *posted({"mentorId": "mentor_id", "title": "My Chat"}))
    assert (status, made["mentorId"], made["title"], made["isActive"]) == (201, "mentor_id", "My Chat", True)
    status, chats = curl("-X", "GET", f"{api.url}/chat/chats", *token)
    assert (status, [chat["id"] for chat in chats]) == (200, [made["id"]])
    status, answer = curl(f"{api.url}/mentor/chat", *token, *posted({"prompt": "Hello", "mentorId": "mentor_id"}))
    assert (status, answer["success"], answer["data"]["chatId"]) == (200, True, made["id"])
    assert set(answer["data"]) == {"response", "chatId", "messageId", "memory", "usage"}
    assert curl(f"{api.url}/chat/chats")[0] == 401, "without a token"


def test_simorghs_requests(api: Api, open_api: Api, curl: Curl) -> None:
    with api.wiring.database().begin() as connection:
        connection.exec_driver_sql("INSERT INTO projects (id, name) VALUES ('12345', 'Industrial Plant XYZ')")
        connection.exec_driver_sql("INSERT INTO project_permissions VALUES ('12345', 'jane.smith')")
    chats = f"{api.url}/api/chats"
    john, jane = bearer(api, "john.doe"), bearer(api, "jane.smith")
    status, health = curl(f"{api.url}/api/health")
    assert (status, health["status"]) == (200, "healthy")
    assert {name: found["status"] for name, found in health["services"].items()} == {
        "redis": "healthy", "sql_auth": "healthy", "llm": "not configured", "neo4j": "not configured",
    }  # fmt: skip
    general = {"chat_name": "Test General", "user_id": "john.doe", "chat_type": "general"}
    status, made = curl(chats, *john, *posted(general))
    first = made["chat"]["chat_id"]
    assert (status, made["status"], made["chat"]["chat_name"]) == (200, "success", "New conversation")
    assert first.startswith(f"G-{datetime.now(UTC):%Y%m}-0")
    title = ("-X", "POST", f"{chats}/{first}/generate-title", "-F", "first_message=How do I configure panel X?")
    assert curl(*john, *title)[1]["title"] == "How do I configure panel X"
    project = {"chat_name": "Panel Analysis", "chat_type": "project", "page_name": "Panel Analysis"}
    janes = {**project, "user_id": "jane.smith", "project_number": "12345"}
    status, made = curl(chats, *jane, *posted(janes))
    assert (status, made["message"]) == (200, "Project session created for Industrial Plant XYZ")
    assert made["chat"]["chat_id"].startswith("P-12345-")
    assert made["chat"]["project_name"] == "Industrial Plant XYZ"
    unknown = curl(chats, *jane, *posted({**janes, "project_number": "99999"}))
    assert unknown == (404, {"detail": "Project ID 99999 not found in database"})
    denied = curl(chats, *john, *posted({**janes, "user_id": "john.doe"}))
    assert denied == (403, {"detail": "Access denied for project 12345"})
    assert curl(chats, *john, *posted({**janes, "project_number": None}))[0] == 400
    assert curl(chats, *john, *posted(janes))[0] == 403, "the user isn't the token's"
    # With tokens off, a request that names nobody is about the session's owner.
    free = curl(f"{open_api.url}/api/chats", *posted(general))[1]["chat"]["chat_id"]
    title = (
        "-X",
        "POST",
        f"{open_api.url}/api/chats/{free}/generate-title",
        "-F",
        "first_message=How do I configure panel X?",
    )
    assert curl(*title)[1]["title"] == "How do I configure panel X"
    # The guide asks for diagnostics without a token.
    assert curl(f"{open_api.url}/api/llm/diagnostics")[0] == 200
    assert curl(f"{api.url}/api/llm/diagnostics")[0] == 401


def test_toolboxais_requests(open_api: Api, curl: Curl) -> None:
    for path in ("/health", "/health/agents", "/health/mcp"):
        status, health = curl(f"{open_api.url}{path}")
        assert (status, health["status"]) == (200, "healthy")
    task = {"agent_type": "content_generator", "task_type": "generate_content", "task_data": TASK}
    status, done = curl(f"{open_api.url}/api/v1/agents/execute", *posted(task))
    assert (status, done["success"], done["result"]["subject"]) == (200, True, "Test")
    assert curl(f"{open_api.url}/api/v1/system/circuit-breakers")[0] == 200


def test_workers_requests(open_api: Api, curl: Curl) -> None:
    url = open_api.url
    # Without a header curl calls the body a form, and these have none.
    status, answer = curl("-X", "POST", f"{url}/query", "-d", '{"query": "Hello"}')
    assert (status, answer["success"]) == (200, True)
    assert set(answer) == {"success", "response", "session_id"}
    assert answer["session_id"].startswith("session_")
    assert curl(f"{url}/health")[1]["status"] == "healthy"
    old = curl(f"{url}/query", *posted({"query": "What is 2+2?", "accountId": "by-curl"}))[1]
    assert old["session_id"].startswith("session_")
    stats = curl(f"{url}/storage-stats?accountId=by-curl")[1]
    assert (stats["total_conversations"], stats["retention_policy_days"]) == (1, 30)
    first = curl(f"{url}/query", *posted({"query": "My name is Alice", "accountId": "by-curl"}))[1]["session_id"]
    again = {"query": "What is my name?", "accountId": "by-curl", "session_id": first}
    assert curl(f"{url}/query", *posted(again))[1]["session_id"] == first
    messages = curl(f"{url}/conversations/{first}")[1]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    assert curl("-X", "POST", f"{url}/purge?accountId=by-curl") == (200, {"deleted": 0, "errors": 0})
    assert curl("-X", "POST", f"{url}/purge") == (200, {"deleted": 0, "errors": 0})
    assert curl(f"{url}/query", *posted({"query": "Test", "accountId": "default"}))[0] == 200
    assert curl(f"{url}/storage-stats?accountId=default")[1]["total_conversations"] >= 2
