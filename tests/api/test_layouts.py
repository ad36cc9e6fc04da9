"""On an application's own tables: the systems that its layout can serve, under its own names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.api import Api, running_api
from tests.support.migrated import Migrated

from chatctl.api.parts import Options
from chatctl.errors import MissingEntityError
from chatctl.layouts import Phase, load_layout
from chatctl.services.smoke import running as smoke
from chatctl.stores.sql.database import Database

SYSTEMS = ["mentor", "worker", "ray", "toolboxai", "simorgh"]


@pytest.fixture(params=["sqlite", *(
    pytest.param(name, marks=[getattr(pytest.mark, mark), pytest.mark.slow])
    for name, mark in (("mariadb", "mysql"), ("postgresql", "postgresql"))
)])  # fmt: skip
def url(request: pytest.FixtureRequest) -> str:
    """A database on each engine."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@contextmanager
def serving(layout: str, url: str, redis: str, folder: Path, **env: str) -> Iterator[Api]:
    """A server on a migrated database of `layout`."""
    database = Database(url)
    Migrated(load_layout(layout), database).up_to(Phase.EXPAND)
    database.close()
    with running_api(folder, url, redis, layout=layout, env=env, migrated=True) as api:
        yield api


def names(api: Api, statement: str) -> list[tuple[object, ...]]:
    with api.wiring.serving.gateway.database.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


@pytest.mark.parametrize("layout", SYSTEMS)
def test_each_layout_serves_its_own_system(layout: str, url: str, redis_url: str, tmp_path: Path) -> None:
    with serving(layout, url, redis_url, tmp_path) as api:
        assert api.parts.served == [layout]
        user = api.account("jane", user_id="550e8400-e29b-41d4-a716-446655440001")
        if layout == "mentor":
            with api.wiring.serving.gateway.database.begin() as connection:
                quote = connection.dialect.identifier_preparer.quote
                connection.execute(sa.text(f"INSERT INTO users (id) VALUES ('{user}')"))
                connection.execute(sa.text(f"INSERT INTO mentors (id, {quote('name')}) VALUES ('m', 'Minerva')"))
        result = smoke.run(
            api.url,
            (layout,),
            token=api.token(user),
            user=None,
            mentor="m" if layout == "mentor" else None,
            project=None,
        )
        slow = [check for check in result.data["checks"] if "ms, more" in str(check["reason"])]
        assert [check for check in result.data["checks"] if not check["ok"] and check not in slow] == []


def test_mentors_rows_stand_under_the_applications_names(url: str, redis_url: str, tmp_path: Path) -> None:
    with serving("mentor", url, redis_url, tmp_path) as api:
        with api.wiring.serving.gateway.database.begin() as connection:
            connection.execute(sa.text("INSERT INTO users (id) VALUES ('nina')"))
        quote = api.wiring.serving.gateway.database.engine.dialect.identifier_preparer.quote
        web = api.client("nina")
        chat = web.post("/mentor/chat", json={"prompt": "Hello"}).json()["data"]["chatId"]
        chat_id, user_id = quote("chatId"), quote("userId")
        assert names(api, f"SELECT {user_id} FROM chats WHERE id = '{chat}'") == [("nina",)]
        query = f"SELECT role, {user_id} FROM messages WHERE {chat_id} = '{chat}' ORDER BY {quote('createdAt')}"
        assert names(api, query) == [("user", "nina"), ("assistant", "nina")]
        # Whom the application doesn't know it doesn't get to know here either.
        assert api.client("nobody").post("/chat/chats", json={}).status_code == 400


def test_a_mentor_is_for_whom_the_application_says(url: str, redis_url: str, tmp_path: Path) -> None:
    """Where a layout of one's own names the column in which it says so."""
    text = (resources.files("chatctl.layouts") / "builtin" / "mentor.yaml").read_text()
    name = "      name: {name: name, type: text(255), nullable: true, optional: true}\n"
    assert name in text
    column = name.replace("name: {name: name, type: text(255)", "user_id: {name: userId, type: text(64)")
    layout = tmp_path / "owned.yaml"
    layout.write_text(text.replace(name, name + column))
    database = Database(url)
    Migrated(load_layout("mentor"), database).up_to(Phase.EXPAND)
    owner = database.engine.dialect.identifier_preparer.quote("userId")
    with database.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE mentors ADD {owner} VARCHAR(64)"))
        connection.execute(sa.text("INSERT INTO users (id) VALUES ('nina'), ('otto')"))
        mentors = f"INSERT INTO mentors (id, {owner}) VALUES ('ninas', 'nina'), ('everybodys', NULL)"
        connection.execute(sa.text(mentors))
    database.close()
    with running_api(tmp_path, url, redis_url, layout=str(layout), migrated=True) as api:
        for user, mentor, status in (("nina", "ninas", 201), ("otto", "ninas", 404), ("otto", "everybodys", 201)):
            web = api.client(user)
            assert web.post("/chat/chats", json={"mentorId": mentor}).status_code == status
            said = web.post("/mentor/chat", json={"prompt": "Hello", "mentorId": mentor})
            assert said.status_code == (404 if status == 404 else 200)


def test_a_system_that_the_tables_cant_serve_is_refused(redis_url: str, sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    Migrated(load_layout("worker"), database).up_to(Phase.EXPAND)
    database.close()
    with (
        pytest.raises(MissingEntityError),
        running_api(tmp_path, sqlite_url, redis_url, layout="worker", options=Options(("mentor",)), migrated=True),
    ):
        pass


def test_storing_is_rolled_out_account_by_account(native_url: str, redis_url: str, tmp_path: Path) -> None:
    env = {"CHATCTL_SERVE_STORE_ACCOUNTS": '["test-user"]'}
    with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as api:
        assert "session_id" in api.client("test-user").post("/query", json={"query": "x"}).json()
        other = api.client("other").post("/query", json={"query": "x"}).json()
        assert other == {"success": True, "response": "You said: x"}
        assert api.client("other").get("/conversations").json() == []


def test_storing_can_be_switched_off(native_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_api(
        tmp_path, native_url, redis_url, env={"ENABLE_CONVERSATION_STORAGE": "false"}, migrated=True
    ) as api:
        assert "session_id" not in api.client("a").post("/query", json={"query": "x"}).json()
        assert api.client("a").get("/storage-stats").json()["total_conversations"] == 0


def test_only_the_pages_that_are_named_may_call_from_a_browser(native_url: str, redis_url: str, tmp_path: Path) -> None:
    env = {"CORS_ORIGINS": '["https://chat.example.org"]'}
    with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as api:
        web = api.client("a")
        allowed = web.get("/chat/chats", headers={"Origin": "https://chat.example.org"})
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://chat.example.org"
        assert (
            "Access-Control-Allow-Origin"
            not in web.get("/chat/chats", headers={"Origin": "https://evil.example"}).headers
        )


def test_reading_a_conversation_keeps_it_from_being_purged(native_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_api(tmp_path, native_url, redis_url, migrated=True) as api:
        web = api.client("anna")
        read, left = (web.post("/query", json={"query": "x"}).json()["session_id"] for _ in range(2))
        with api.wiring.serving.gateway.database.begin() as connection:
            connection.exec_driver_sql("UPDATE chats SET accessed_at = '2020-01-01 00:00:00.000000'")
        assert web.get("/storage-stats").json()["conversations_ready_to_purge"] == 2
        assert web.get(f"/conversations/{read}").status_code == 200
        assert web.post("/purge", params={"accountId": "anna"}).json() == {"deleted": 1, "errors": 0}
        assert [row["session_id"] for row in web.get("/conversations").json()] == [read]
        assert web.get(f"/conversations/{left}").status_code == 404


def test_a_task_comes_back_whole_from_the_applications_columns(url: str, redis_url: str, tmp_path: Path) -> None:
    with serving("toolboxai", url, redis_url, tmp_path) as api:
        web = api.client("tom")
        body = {"agent_type": "content_generator", "task_type": "generate_content", "task_data": {"subject": "Test"}}
        task = web.post("/api/v1/agents/execute", json=body).json()["task_id"]
        found = web.get(f"/api/v1/agents/tasks/{task}").json()
        assert found["status"] == "completed"
        assert found["execution_time"] >= 0
        assert found["result"]["subject"] == "Test"
