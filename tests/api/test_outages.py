"""Redis, SQL or the model gone under load and back again: told as such, nothing acknowledged lost, no restart."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.api import Api, running_api
from tests.support.model_server import running_model
from tests.support.servers import MariaDBServer, RedisServer


class Load:
    """Sends again and again from some threads; `statuses` counts what came back since the last look."""

    def __init__(self, api: Api, send: Callable[[httpx.Client, int], httpx.Response], threads: int = 4) -> None:
        self._api, self._send = api, send
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.answers: list[httpx.Response] = []
        self._seen = 0
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        with httpx.Client(base_url=self._api.url, timeout=30) as client:
            client.headers["Authorization"] = f"Bearer {self._api.token('luke')}"
            count = number * 1_000_000
            while not self._stopping.is_set():
                count += 1
                answer = self._send(client, count)
                with self._lock:
                    self.answers.append(answer)
                time.sleep(0.005)

    def statuses(self, seconds: float) -> Counter[int]:
        """What came back in the next seconds, requests that were under way left out."""
        time.sleep(0.3)
        with self._lock:
            start = len(self.answers)
        time.sleep(seconds)
        with self._lock:
            return Counter(answer.status_code for answer in self.answers[start:])

    def until_well(self, good: int, seconds: float = 20) -> None:
        """Waits until nothing but `good` comes back."""
        deadline = time.monotonic() + seconds
        while set(self.statuses(0.5)) != {good}:
            assert time.monotonic() < deadline, "it did not recover"


@pytest.fixture
def on_mariadb(own_mariadb: MariaDBServer, redis_url: str, tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path, own_mariadb.databases.create_database(), redis_url) as api:
        yield api


@pytest.mark.mysql
def test_sql_killed_under_load_is_a_503_and_nothing_acknowledged_is_lost(
    on_mariadb: Api, own_mariadb: MariaDBServer
) -> None:
    chat = on_mariadb.client("luke").post("/chat/chats", json={}).json()["id"]

    def send(client: httpx.Client, number: int) -> httpx.Response:
        return client.post(f"/chat/chats/{chat}/messages", json={"content": str(number)})

    with Load(on_mariadb, send) as load:
        load.until_well(201)
        own_mariadb.kill()
        away = load.statuses(2.0)
        assert set(away) == {503}, away
        health = httpx.get(f"{on_mariadb.url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        login = httpx.post(f"{on_mariadb.url}/api/login", json={"username": "x", "password": "y"})
        assert (login.status_code, login.json()["error"].split(":")[0]) == (500, "Login failed")
        own_mariadb.restart()
        load.until_well(201)
    assert all("Retry-After" in answer.headers for answer in load.answers if answer.status_code == 503)
    assert {answer.status_code for answer in load.answers} == {201, 503}
    acknowledged = {answer.json()["id"] for answer in load.answers if answer.status_code == 201}
    with on_mariadb.wiring.database(read_only=True).connect() as connection:
        stored = {row[0] for row in connection.exec_driver_sql("SELECT id FROM messages")}
    assert acknowledged <= stored
    assert len(acknowledged) > 50
    assert httpx.get(f"{on_mariadb.url}/health").json()["status"] == "healthy"


@pytest.mark.redis
def test_redis_killed_under_load_is_a_503_for_what_needs_it_alone(
    native_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    with running_api(tmp_path, native_url, own_redis.url, migrated=True) as api:
        chat = api.client("luke").post("/chat/chats", json={}).json()["id"]

        def create(client: httpx.Client, number: int) -> httpx.Response:
            return client.post("/api/chats", json={"user_id": "luke"})

        def write(client: httpx.Client, number: int) -> httpx.Response:
            return client.post(f"/chat/chats/{chat}/messages", json={"content": str(number)})

        with Load(api, create, 2) as sessions, Load(api, write, 2) as messages:
            sessions.until_well(200)
            own_redis.kill()
            time.sleep(1)
            assert set(sessions.statuses(1.5)) == {503}
            assert set(messages.statuses(1.0)) == {201}, "limits are counted without Redis"
            health = httpx.get(f"{api.url}/health")
            assert (health.status_code, health.json()["status"]) == (200, "degraded")
            own_redis.restart()
            sessions.until_well(200)
        assert {answer.status_code for answer in sessions.answers} == {200, 503}
        ids = [answer.json()["chat"]["chat_id"] for answer in sessions.answers if answer.status_code == 200]
        assert len(ids) == len(set(ids))
        listed = api.client("luke").get("/api/users/luke/chats", params={"limit": 1000}).json()
        assert set(ids) <= {found["chat_id"] for found in listed["chats"]} or listed["total"] > 1000


@pytest.mark.slow
def test_a_model_that_dies_under_load_is_a_503_and_comes_back(native_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_model() as model:
        env = {"CHATCTL_MODEL_URL": model.url}
        with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as api:
            api.parts.systems.answering.breaker._limits = (3, 0.5, 1)
            api.parts.systems.answering.breaker._storage._reset *= 0.5 / 30

            def ask(client: httpx.Client, number: int) -> httpx.Response:
                return client.post("/query", json={"query": str(number)})

            with Load(api, ask) as load:
                load.until_well(200)
                model.stop()
                time.sleep(1)
                assert set(load.statuses(1.0)) == {503}
                model.start()
                load.until_well(200)
            assert {answer.status_code for answer in load.answers} == {200, 503}
            acknowledged = {answer.json()["session_id"] for answer in load.answers if answer.status_code == 200}
            assert api.client("luke").get("/storage-stats").json()["total_conversations"] == len(acknowledged)


@pytest.mark.slow
@pytest.mark.mysql
def test_a_silent_permission_database_is_a_500_and_never_a_404_or_403(
    native_url: str, redis_url: str, own_mariadb: MariaDBServer, tmp_path: Path
) -> None:
    url = own_mariadb.databases.create_database()
    env = {"CHATCTL_PERMISSIONS_DATABASE": url}
    body = {"user_id": "luke", "chat_type": "project", "project_number": "1", "page_name": "p"}
    with running_api(tmp_path, native_url, redis_url, env=env, migrated=True) as api:
        own_mariadb.kill()
        answer = api.client("luke").post("/api/chats", json=body)
        assert (answer.status_code, answer.json()) == (500, {"detail": "The permission database gave no answer."})
