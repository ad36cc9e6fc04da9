"""The language model: what it is sent, and what happens when it fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.support.api import Api, running_api
from tests.support.model_server import ModelServer, running_model

from chatctl.api.parts import Options
from chatctl.domain.prompts import Message, within_budget
from chatctl.domain.ray_messages import ANONYMOUS
from chatctl.errors import ModelError
from chatctl.settings.serving import SERVE_DEFAULTS, ModelSettings
from chatctl.stores.model.http import HttpModel


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with running_model() as server:
        yield server


@pytest.fixture
def api(native_url: str, redis_url: str, tmp_path: Path, model: ModelServer) -> Iterator[Api]:
    env = {"CHATCTL_MODEL_URL": model.url, "CHATCTL_MODEL_KEY": "sk-for-tests", "CHATCTL_MODEL_HISTORY_TOKENS": "15"}
    with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as running:
        yield running


@pytest.fixture
def client(model: ModelServer) -> Iterator[HttpModel]:
    defaults = {key.removeprefix("model."): value for key, value in SERVE_DEFAULTS.items() if key.startswith("model.")}
    settings = ModelSettings(url=model.url, key=None, **defaults)
    made = HttpModel(replace(settings, timeout_seconds=0.3))
    yield made
    made.close()


def test_a_prompt_takes_the_history_along_within_its_budget(api: Api, model: ModelServer) -> None:
    web = api.client("mia")
    for number in range(4):
        web.post("/query", json={"query": f"question {number}", "session_id": "s"})
    sent = [message["content"] for message in model.requests[-1]["messages"]]
    # A message of these is three tokens, so five of the six before fit into 15.
    assert sent == ["Certainly.", "question 1", "Certainly.", "question 2", "Certainly.", "question 3"]
    assert model.requests[-1]["authorization"] == "Bearer sk-for-tests"
    answer = web.post("/mentor/chat", json={"prompt": "x"}).json()["data"]
    assert answer["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert web.get(f"/chat/chats/{answer['chatId']}/messages").json()[1]["tokens"] == 3
    assert 'chatctl_model_tokens_total{kind="completion",model="told"} 15.0' in web.get("/metrics").text


def test_ray_tells_the_model_of_its_project_and_user(api: Api, model: ModelServer) -> None:
    body = {"message": "x", "project_id": "p-00000001", "chat_id": "chat-00000001"}
    nobody = {**body, "user_id": ANONYMOUS, "chat_id": "chat-00000002"}
    web = api.client("mia")
    for client, request in ((web, {**body, "user_id": "mia"}), (api.client(), nobody)):
        assert client.post("/api/vscode_user_message", json=request).status_code == 200
    with api.wiring.serving.gateway.database.begin() as connection:
        connection.exec_driver_sql('UPDATE projects SET settings = \'{"language": "French"}\'')
        connection.exec_driver_sql('UPDATE users SET preferences = \'{"tone": "short"}\'')
    assert web.post("/api/vscode_user_message", json={**body, "user_id": "mia"}).status_code == 200
    told = model.requests[-1]["messages"][0]
    assert told["role"] == "system"
    assert "French" in told["content"]
    assert "short" in told["content"]
    assert api.client().post("/api/vscode_user_message", json=nobody).status_code == 200
    assert "French" in model.requests[-1]["messages"][0]["content"]
    assert "short" not in model.requests[-1]["messages"][0]["content"]


@pytest.mark.parametrize("auth", [True, False])
def test_an_answer_that_is_awaited_can_be_stopped(
    native_url: str, redis_url: str, tmp_path: Path, model: ModelServer, auth: bool
) -> None:
    model.delay_seconds = 2.0
    body = {"message": "x", "project_id": "p-00000001", "chat_id": "chat-00000001", "user_id": "mia"}
    env = {"CHATCTL_MODEL_URL": model.url}
    with running_api(tmp_path, native_url, redis_url, options=Options(auth=auth), env=env, migrated=True) as api:
        web = api.client("mia") if auth else api.client()
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(web.post("/api/vscode_user_message", json=body)))
        asking.start()
        while not model.requests:
            time.sleep(0.01)
        stop = {"chat_id": body["chat_id"]}
        if auth:
            assert api.client("eve").post("/api/agent/stop", json=stop).json()["cancelled"] is False
        stopped = web.post("/api/agent/stop", json=stop).json()
        assert stopped == {"status": "stopped", "cancelled": True, "task_id": None, "chat_id": body["chat_id"]}
        asking.join()
        assert answers[0].status_code == 409
        with api.wiring.serving.gateway.database.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM messages").scalar() == 0


def test_a_budget_keeps_the_newest_whole_messages() -> None:
    history = [Message("user", "a" * 40), Message("assistant", "b" * 40), Message("user", "c" * 40)]
    assert within_budget(history, 29) == history[1:]
    assert within_budget(history, 30) == history
    assert within_budget(history, 9) == []


def test_three_failures_open_the_breaker_for_every_server(
    api: Api, model: ModelServer, native_url: str, redis_url: str, tmp_path: Path
) -> None:
    model.status = 400
    web = api.client("mia")
    answers = [web.post("/query", json={"query": "x"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert len(model.requests) == 3, "the fourth call is not made"
    assert "Retry-After" in answers[-1].headers
    breakers = web.get("/api/v1/system/circuit-breakers").json()["circuit_breakers"]
    assert (breakers["model"]["state"], breakers["model"]["failure_count"]) == ("OPEN", 3)
    env = {"CHATCTL_MODEL_URL": model.url}
    with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as other:
        assert other.client("mia").post("/query", json={"query": "x"}).status_code == 503
    assert len(model.requests) == 3
    assert web.get("/storage-stats").json()["total_conversations"] == 0, "no half conversation is stored"
    breaker = api.parts.systems.breaker_rows
    breaker.set("model", next_attempt_at=breaker.get("model")["last_failure_at"])
    model.status = 200
    assert web.post("/query", json={"query": "x"}).status_code == 200
    assert web.get("/api/v1/system/circuit-breakers").json()["circuit_breakers"]["model"]["state"] == "CLOSED"


def test_what_passes_is_tried_again_and_what_lasts_is_not(client: HttpModel, model: ModelServer) -> None:
    model.failures = 2
    assert client.reply([Message("user", "x")]).text == "Certainly."
    assert len(model.requests) == 3
    model.status = 401
    with pytest.raises(ModelError, match="it answered 401"):
        client.reply([Message("user", "x")])
    assert len(model.requests) == 4


def test_a_model_that_hangs_is_given_up(client: HttpModel, model: ModelServer) -> None:
    model.delay_seconds = 0.6
    with pytest.raises(ModelError, match="ReadTimeout"):
        client.reply([Message("user", "x")])


def test_an_answer_is_streamed_piece_by_piece(client: HttpModel, model: ModelServer) -> None:
    model.text = "one two three"
    assert list(client.stream([Message("user", "x")])) == ["one ", "two ", "three "]


def test_a_title_comes_from_the_model_or_else_from_the_text(api: Api, model: ModelServer) -> None:
    web = api.client("mia")
    chat = web.post("/api/chats", json={}).json()["chat"]["chat_id"]
    model.text = '"Panel  configuration."'
    form = {"first_message": "How do I configure panel X?"}
    assert web.post(f"/api/chats/{chat}/generate-title", data=form).json()["title"] == "Panel configuration"
    model.status = 500
    assert web.post(f"/api/chats/{chat}/generate-title", data=form).json()["title"] == "How do I configure panel X"


def test_a_message_that_says_nothing_leaves_a_session_the_name_it_began_with(api: Api, model: ModelServer) -> None:
    web = api.client("mia")
    chat = web.post("/api/chats", json={}).json()["chat"]["chat_id"]
    model.status = 500
    answer = web.post(f"/api/chats/{chat}/generate-title", data={"first_message": "\x80"})
    assert (answer.status_code, answer.json()["title"]) == (200, "New conversation")


def test_a_count_of_tokens_may_be_written_with_a_zero_fraction(api: Api) -> None:
    web = api.client("mia")
    chat = web.post("/chat/chats", json={}).json()["id"]
    for tokens, status in ((5.0, 201), (5.5, 400), ("5", 400)):
        message = {"role": "user", "content": "x", "tokens": tokens}
        assert web.post(f"/chat/chats/{chat}/messages", json=message).status_code == status


def test_an_answer_comes_as_it_is_written_and_is_stored_whole(api: Api, model: ModelServer) -> None:
    model.text = "one two three"
    web = api.client("mia")
    with web.stream("POST", "/mentor/chat", json={"prompt": "x"}, headers={"Accept": "text/event-stream"}) as stream:
        lines = [line for line in stream.iter_lines() if line]
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert events == ["piece", "piece", "piece", "done"]
    done = json.loads(lines[-1].removeprefix("data: "))["data"]
    assert done["response"] == "one two three "
    stored = web.get(f"/chat/chats/{done['chatId']}/messages").json()
    assert [message["content"] for message in stored] == ["x", "one two three "]
    model.status = 400
    refused = web.post("/mentor/chat", json={"prompt": "x"}, headers={"Accept": "text/event-stream"})
    assert refused.status_code == 503
