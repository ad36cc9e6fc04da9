"""Every example of the five guides, sent as it is written there, in the mode it was written for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from tests.support import schemas
from tests.support.api import Api
from tests.support.cli import Completed

from chatctl.domain.ray_messages import ANONYMOUS
from chatctl.services.identity.accounts import DEMO_ID
from chatctl.services.smoke import running as smoke

RAY = {"project_id": "test-project-12345678", "chat_id": "chat-abcdef01"}


@pytest.fixture
def web(open_api: Api) -> httpx.Client:
    return open_api.client()


# --- mentor -------------------------------------------------------------------------------------------------


def test_mentors_chat_is_created_listed_and_talked_to(web: httpx.Client) -> None:
    made = web.post("/chat/chats", json={"mentorId": "mentor_id", "title": "My Chat"})
    assert (made.status_code, made.json()["mentorId"], made.json()["title"]) == (201, "mentor_id", "My Chat")
    listed = web.get("/chat/chats").json()
    assert made.json()["id"] in [chat["id"] for chat in listed]
    answer = web.post("/mentor/chat", json={"prompt": "Hello", "mentorId": "mentor_id"}).json()
    assert answer["success"] is True
    assert set(answer["data"]) == {"response", "chatId", "messageId", "memory", "usage"}
    again = web.post("/mentor/chat", json={"prompt": "And?", "mentorId": "mentor_id"}).json()
    assert again["data"]["chatId"] == answer["data"]["chatId"]
    general = [web.post("/mentor/chat", json={"prompt": "Hi"}).json()["data"]["chatId"] for _ in range(2)]
    assert len({*general, answer["data"]["chatId"]}) == 3
    assert web.get(f"/chat/chats/{general[0]}").json()["title"] == "General Chat"


def test_a_message_moves_its_chat_to_the_front_and_delete_is_soft(web: httpx.Client) -> None:
    first, second = (web.post("/chat/chats", json={"title": title}).json()["id"] for title in "ab")
    message = web.post(f"/chat/chats/{first}/messages", json={"role": "user", "content": "x"})
    assert (message.status_code, message.json()["chatId"]) == (201, first)
    listed = [chat["id"] for chat in web.get("/chat/chats", params={"limit": 2}).json()]
    assert listed == [first, second]
    newest = web.get("/chat/chats", params={"limit": 1}).json()[0]
    assert (newest["messageCount"], newest["lastMessage"]["content"]) == (1, "x")
    assert web.delete(f"/chat/chats/{second}").status_code == 200
    assert second not in [chat["id"] for chat in web.get("/chat/chats").json()]
    assert second in [chat["id"] for chat in web.get("/chat/chats", params={"isActive": False}).json()]
    changed = web.put(f"/chat/chats/{second}", json={"isActive": True, "title": "c"}).json()
    assert (changed["isActive"], changed["title"]) == (True, "c")


def test_what_mentor_refuses_it_refuses_as_its_clients_know_it(web: httpx.Client) -> None:
    missing = web.get("/chat/chats/no-such-chat")
    assert (missing.status_code, missing.json()) == (404, {"message": "Chat not found"})
    chat = web.post("/chat/chats", json={}).json()["id"]
    assert web.post(f"/chat/chats/{chat}/messages", json={"content": ""}).status_code == 400
    assert web.get("/chat/chats", params={"limit": 101}).status_code == 400
    assert web.get("/chat/chats", params={"limit": 0}).status_code == 400
    assert set(web.get("/chat/chats/stats").json()) == {
        "totalChats", "totalMessages", "mentorChats", "standaloneChats",
    }  # fmt: skip


# --- ray ----------------------------------------------------------------------------------------------------


def test_rays_test_script_gets_its_answers(web: httpx.Client) -> None:
    login = web.post("/api/login", json={"username": "demo", "password": "password"})
    assert login.status_code == 200
    assert set(login.json()) == {"user_id", "username", "email", "token", "expires_at"}
    assert login.json()["user_id"] == DEMO_ID
    expires = datetime.fromisoformat(login.json()["expires_at"])
    assert 23.9 < (expires - datetime.now(UTC)).total_seconds() / 3600 <= 24
    message = {"message": "Hello, can you help me write a Python function?", "model": None, **RAY, "user_id": DEMO_ID}
    answer = web.post("/api/vscode_user_message", json=message)
    assert answer.status_code == 200
    assert set(answer.json()) == {"response", "session_id", "timestamp"}
    assert answer.json()["session_id"] == "test-project-12345678:chat-abcdef01"
    result = {"command": "write", "args": ["test.py", 1], "ok": True, "output": "File 'test.py' written successfully"}
    second = web.post("/api/vscode_user_message", json={**message, "command_results": [result]}).json()
    expected = (
        "Previous command results:\n✅ write test.py 1\nOutput: File 'test.py' written successfully\n\nUser message:"
    )
    assert expected in second["response"]


def test_ray_names_what_is_missing_and_how_to_upgrade(web: httpx.Client) -> None:
    old = {"message": "hi", "thinking_budget": 0, "include_system": True}
    answer = web.post("/api/vscode_user_message", json=old)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Missing required fields: project_id, chat_id, user_id"
    assert "chatctl payload upgrade" in answer.json()["hint"]
    whole = {**old, **RAY, "user_id": ANONYMOUS, "chat_id": "chat-00000001"}
    assert web.post("/api/vscode_user_message", json=whole).status_code == 200
    assert web.post("/api/vscode_user_message", content=b"not json").status_code == 400


def test_wrong_credentials_are_told_as_ray_tells_them(web: httpx.Client) -> None:
    answer = web.post("/api/login", json={"email": "demo@example.com", "password": "wrong"})
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid credentials"})
    assert web.post("/api/agent/stop", json={}).status_code == 400
    stopped = web.post("/api/agent/stop", json={"task_id": "t", "chat_id": "c"}).json()
    assert stopped == {"status": "not_running", "cancelled": False, "task_id": "t", "chat_id": "c"}


# --- simorgh ------------------------------------------------------------------------------------------------


def test_simorghs_sessions_are_created_as_its_guide_shows(open_api: Api, web: httpx.Client) -> None:
    with open_api.wiring.database().begin() as connection:
        connection.exec_driver_sql("INSERT INTO projects (id, name) VALUES ('12345', 'Industrial Plant XYZ')")
        connection.exec_driver_sql("INSERT INTO project_permissions VALUES ('12345', 'jane.smith')")
    general = {"chat_name": "Test General", "user_id": "john.doe", "chat_type": "general"}
    made = web.post("/api/chats", json=general).json()
    month = datetime.now(UTC).strftime("%Y%m")
    assert made["status"] == "success"
    assert made["chat"]["chat_id"].startswith(f"G-{month}-0")
    assert made["chat"]["chat_name"] == "New conversation"
    project = {
        "chat_name": "Panel Analysis",
        "user_id": "jane.smith",
        "chat_type": "project",
        "page_name": "Panel Analysis",
    }
    made = web.post("/api/chats", json={**project, "project_number": "12345"}).json()
    assert made["chat"]["chat_id"] == "P-12345-000001"
    assert made["chat"]["project_name"] == "Industrial Plant XYZ"
    assert made["message"] == "Project session created for Industrial Plant XYZ"
    unknown = web.post("/api/chats", json={**project, "project_number": "99999"})
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Project ID 99999 not found in database"})
    denied = web.post("/api/chats", json={**project, "user_id": "john.doe", "project_number": "12345"})
    assert (denied.status_code, denied.json()) == (403, {"detail": "Access denied for project 12345"})


def test_a_title_is_made_of_the_first_message_sent_as_a_form(web: httpx.Client) -> None:
    headers = {"X-User-ID": "john.doe"}
    chat = web.post("/api/chats", json={"user_id": "john.doe"}).json()["chat"]["chat_id"]
    form = {"first_message": (None, "How do I configure panel X?")}
    answer = web.post(f"/api/chats/{chat}/generate-title", files=form, headers=headers)
    assert answer.json()["title"] == "How do I configure panel X"
    again = web.post(f"/api/chats/{chat}/generate-title", data={"first_message": "Hello there"}, headers=headers)
    assert again.status_code == 200
    assert web.get(f"/api/chats/{chat}", headers=headers).json()["chat"]["chat_name"] == again.json()["chat_name"]
    assert set(web.get("/api/health").json()["services"]) == {"redis", "sql_auth", "llm", "neo4j"}
    assert web.get("/api/llm/diagnostics").json()["model"] == "echo"


@pytest.mark.parametrize(
    "body",
    [
        {"chat_type": "general", "project_number": "1"},
        {"chat_type": "general", "page_name": "p"},
        {"chat_type": "project", "project_number": "1"},
        {"chat_type": "project", "page_name": "p"},
        {"chat_type": "group"},
    ],
)
def test_fields_that_dont_belong_together_are_refused(web: httpx.Client, body: dict[str, str]) -> None:
    assert web.post("/api/chats", json={"user_id": "john.doe", **body}).status_code == 400


# --- toolboxai ----------------------------------------------------------------------------------------------


def test_an_agent_carries_out_the_guides_task(web: httpx.Client) -> None:
    task = {
        "agent_type": "content_generator",
        "task_type": "generate_content",
        "task_data": {"subject": "Test", "grade_level": 5},
    }
    answer = web.post("/api/v1/agents/execute", json=task).json()
    assert (answer["success"], answer["status"]) == (True, "completed")
    assert "Test" in answer["result"]["content"]
    assert answer["execution_time"] >= 0
    assert web.get(f"/api/v1/agents/tasks/{answer['task_id']}").json()["result"] == answer["result"]
    for unknown in ({"agent_type": "nobody"}, {"task_type": "nothing"}):
        assert web.post("/api/v1/agents/execute", json={**task, **unknown}).status_code == 404
    for path in ("/health", "/health/agents", "/health/mcp"):
        assert web.get(path).json()["status"] == "healthy", path
    assert "circuit_breakers" in web.get("/api/v1/system/circuit-breakers").json()


# --- worker -------------------------------------------------------------------------------------------------


def test_a_conversation_of_several_turns_is_one(web: httpx.Client) -> None:
    first = web.post("/query", json={"query": "My name is Alice", "accountId": "test"}).json()
    body = {"query": "What is my name?", "accountId": "test", "session_id": first["session_id"]}
    assert web.post("/query", json=body).json()["session_id"] == first["session_id"]
    found = web.get(f"/conversations/{first['session_id']}").json()
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"] * 2
    assert found["messages"][0]["content"] == "My name is Alice"
    empty = web.post("/query", json={})
    assert (empty.status_code, empty.json()) == (400, {"error": "No prompt provided"})
    assert web.post("/query", json={"prompt": "x", "session_id": "my own"}).json()["session_id"] == "my own"
    assert web.get("/conversations", params={"limit": -1}).status_code == 400
    assert web.delete("/conversations/my own").json() == {"success": True}
    gone = web.get("/conversations/my own")
    assert (gone.status_code, gone.json()) == (404, {"error": "Not found"})


# --- all of them --------------------------------------------------------------------------------------------


def test_smoke_finds_nothing_wrong(open_api: Api) -> None:
    result = smoke.run(open_api.url, (), token=None, user=None, mentor="m", project=None)
    assert [
        check for check in result.data["checks"] if not check["ok"] and "ms, more" not in str(check["reason"])
    ] == []
    assert len(result.data["checks"]) == 35


def test_smoke_says_which_step_failed(open_api: Api) -> None:
    result = smoke.run(f"{open_api.url}/nowhere", ("worker",), token=None, user="u", mentor=None, project=None)
    assert result.data["ok"] is False
    assert all(check["status"] == 404 for check in result.data["checks"] if check["status"])


def test_the_command_exits_9_where_a_step_fails(open_api: Api, invoke: Callable[..., Completed]) -> None:
    answer = invoke("smoke", "--base-url", f"{open_api.url}/nowhere", "--system", "toolboxai", "-o", "json")
    schemas.check("smoke", answer.json)
    assert (answer.exit_code, answer.json["data"]["failed"], answer.json["data"]["bound_ms"]) == (9, 5, 500)
    assert invoke("smoke", "--base-url", "nowhere").exit_code == 2
    assert invoke("smoke", "--base-url", open_api.url, "--system", "nothing").exit_code == 2


@pytest.mark.parametrize("system", ["mentor", "worker", "simorgh", "toolboxai"])
def test_with_tokens_nothing_but_health_and_login_goes_without_one(api: Api, system: str) -> None:
    result = smoke.run(api.url, (system,), token=None, user="u", mentor=None, project=None)
    allowed = {"health", "agents health", "MCP health"}
    assert {check["step"] for check in result.data["checks"] if check["status"] == 200} <= allowed
    token = api.token(api.account(f"smoke-{system}"))
    again = smoke.run(api.url, (system,), token=token, user=None, mentor=None, project=None)
    assert [check for check in again.data["checks"] if not check["ok"] and "ms, more" not in str(check["reason"])] == []
