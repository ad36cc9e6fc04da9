"""Agents, their queue, and what clients are told of it."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.test_serving import url_of
from tests.support.api import SECRET, Api, running_api
from tests.support.cli import Cli
from tests.support.model_server import ModelServer, running_model

from chatctl.services.chatting import agents
from chatctl.services.identity.tokens import Tokens
from chatctl.stores.sql.serving.agents import AgentRows

TASK: dict[str, Any] = {
    "agent_type": "content_generator",
    "task_type": "generate_content",
    "task_data": {"subject": "Mathematics", "grade_level": 5, "objectives": ["Learn fractions"]},
}
EXECUTE = "/api/v1/agents/execute"


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with running_model() as server:
        yield server


@pytest.fixture
def one_agent(native_url: str, redis_url: str, tmp_path: Path, model: ModelServer) -> Iterator[Api]:
    env = {"CHATCTL_MODEL_URL": model.url, "CHATCTL_SERVE_MAX_GENERATIONS": "1"}
    with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as api:
        yield api


def finished(web: httpx.Client, task: str, seconds: float = 20) -> dict[str, Any]:
    """The task once it is through."""
    deadline = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = web.get(f"/api/v1/agents/tasks/{task}").json()
        if found["status"] not in ("queued", "running"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_with_no_idle_agent_tasks_wait_and_none_is_lost(one_agent: Api, model: ModelServer) -> None:
    model.delay_seconds = 0.5
    web = one_agent.client("tom")
    first: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: first.append(web.post(EXECUTE, json=TASK)))
    thread.start()
    while not model.requests:
        time.sleep(0.01)
    queued = [web.post(EXECUTE, json=TASK).json() for _ in range(3)]
    assert all(answer["success"] is False and answer["status"] == "queued" for answer in queued)
    assert all("No available" in answer["message"] for answer in queued)
    cancelled = queued.pop()["task_id"]
    assert web.post("/api/agent/stop", json={"task_id": cancelled}).json()["cancelled"] is True
    thread.join()
    assert first[0].json()["status"] == "completed"
    model.delay_seconds = 0
    done = [finished(web, answer["task_id"]) for answer in queued]
    assert [task["result"]["content"] for task in done] == ["Certainly."] * 2
    assert finished(web, cancelled)["status"] == "cancelled"
    assert one_agent.client("eve").get(f"/api/v1/agents/tasks/{cancelled}").status_code == 404
    health = web.get("/health/agents").json()
    assert (health["agents"]["total"], health["queued"]) == (1, 0)
    with one_agent.wiring.serving.gateway.database.connect() as connection:
        names = [row[0] for row in connection.exec_driver_sql("SELECT name FROM agent_metrics")]
    assert sorted(set(names)) == ["completed", "execution_seconds"]


def test_a_task_that_fails_says_so(one_agent: Api, model: ModelServer) -> None:
    model.status = 400
    answer = one_agent.client("tom").post(EXECUTE, json=TASK).json()
    assert (answer["success"], answer["status"]) == (False, "failed")
    assert "answered 400" in answer["message"]


def test_an_agent_whose_client_gave_up_waiting_goes_on(
    native_url: str, redis_url: str, tmp_path: Path, model: ModelServer
) -> None:
    env = {"CHATCTL_MODEL_URL": model.url, "CHATCTL_SERVE_MAX_GENERATIONS": "1"}
    model.delay_seconds = 0.6
    with running_api(
        tmp_path, native_url, redis_url, env={**env, "MAX_CONTENT_GENERATION_TIME": "0.2"}, migrated=True
    ) as api:
        web = api.client("tom")
        first = web.post(EXECUTE, json=TASK).json()
        assert first["status"] in ("queued", "running")
        assert finished(web, first["task_id"])["status"] == "completed"
        second = web.post(EXECUTE, json=TASK).json()["task_id"]
        assert finished(web, second)["status"] == "completed"


def test_what_an_agent_could_not_write_down_it_does_again(one_agent: Api, model: ModelServer) -> None:
    web = one_agent.client("tom")
    task = web.post(EXECUTE, json=TASK).json()["task_id"]
    with one_agent.wiring.serving.gateway.database.begin() as connection:
        # As it is left where the server of the database goes away before the outcome is written.
        connection.exec_driver_sql("UPDATE task_executions SET status = 'running', result = NULL")
    assert finished(web, task)["result"]["content"] == "Certainly."
    assert len(model.requests) == 2


def test_whoever_waits_is_told_of_what_another_server_has_done(one_agent: Api) -> None:
    systems = one_agent.parts.systems
    rows = AgentRows(systems._on.tables)
    other = agents.Agents(one_agent.wiring.serving.gateway, rows, systems.answering, one_agent.parts.hub, 1)
    task, future = other.submit("tom", TASK["agent_type"], TASK["task_type"], TASK["task_data"])
    assert future is not None
    assert finished(one_agent.client("tom"), task)["status"] == "completed"
    other._look_elsewhere()
    assert future.result(0)["result"]["content"] == "Certainly."
    assert other.submit("tom", TASK["agent_type"], TASK["task_type"], {})[1] is not None, "its agent is idle again"


def test_agents_that_were_taken_for_dead_come_back(one_agent: Api) -> None:
    web, system = one_agent.client("tom"), one_agent.parts.systems.toolboxai
    ids, now = [agent for agent, _ in system._agents], datetime.now(UTC)
    one_agent.wiring.serving.gateway.write(lambda connection: system._rows.end(connection, ids, now))
    assert web.get("/health/agents").json()["agents"]["total"] == 0
    system._sign_once(ids, now)
    assert web.get("/health/agents").json()["agents"] == {"total": 1, "idle": 1}
    assert web.post(EXECUTE, json=TASK).json()["status"] == "completed"


def test_events_reach_their_user_and_nobody_else(one_agent: Api) -> None:
    heard: dict[str, list[str]] = {"tom": [], "eve": []}
    ready = threading.Barrier(3)

    def listen(user: str) -> None:
        with one_agent.client(user).stream("GET", "/api/v1/events/content-generation", timeout=3) as stream:
            lines = stream.iter_lines()
            next(lines)
            ready.wait(10)
            try:
                for line in lines:
                    heard[user].append(line)
            except httpx.ReadTimeout:
                return

    threads = [threading.Thread(target=listen, args=(user,)) for user in heard]
    for thread in threads:
        thread.start()
    ready.wait(10)
    one_agent.client("tom").post(EXECUTE, json=TASK)
    for thread in threads:
        thread.join()
    events = [line.removeprefix("event: ") for line in heard["tom"] if line.startswith("event: ")]
    assert events == ["generation-started", "agent-status-update", "content-generated", "agent-status-update"]
    assert not any(heard["eve"])
    assert one_agent.client("tom").get("/api/v1/events/no-such-channel").status_code == 404


@pytest.mark.slow
def test_a_task_of_a_server_that_was_killed_is_done_by_the_next(
    run_cli: Cli,
    native_url: str,
    redis_url: str,
    tmp_path: Path,
    model: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model.delay_seconds = 3
    variables = {
        "CHATCTL_DATABASE": native_url,
        "CHATCTL_REDIS_URL": redis_url,
        "CHATCTL_MODEL_URL": model.url,
        "CHATCTL_SERVE_JWT_SECRET": SECRET,
        "CHATCTL_SERVE_MAX_GENERATIONS": "1",
    }
    process: subprocess.Popen[bytes] = run_cli.start("serve", "--port", "0", env=variables)
    url = url_of(process)
    headers = {"Authorization": f"Bearer {Tokens([SECRET], 'default').issue('tom', 'user', timedelta(minutes=1))}"}
    with contextlib.suppress(httpx.ReadTimeout):
        httpx.post(f"{url}{EXECUTE}", json=TASK, headers=headers, timeout=1.0)
    process.kill()
    process.communicate()
    assert len(model.requests) == 1
    monkeypatch.setattr(agents, "SILENCE", timedelta(seconds=1))
    with running_api(tmp_path, native_url, redis_url, migrated=True) as api:
        with api.wiring.serving.gateway.database.connect() as connection:
            (task,) = [row[0] for row in connection.exec_driver_sql("SELECT id FROM task_executions")]
        done = finished(api.client("tom"), task)
    assert done["status"] == "completed"
