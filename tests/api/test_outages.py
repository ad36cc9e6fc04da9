"""Redis, SQL or the model gone under load and back again: told as such, nothing acknowledged lost, no restart."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.api import Api, running_api
from tests.support.belongings import BERTA, Belongings, belongings_of, requests
from tests.support.model_server import running_model
from tests.support.servers import MariaDBServer, PostgreSQLServer, RedisServer


class Load:
    """Sends again and again from some threads; `statuses` counts what came back since the last look."""

    def __init__(self, api: Api, send: Callable[[httpx.Client, int], httpx.Response], threads: int = 4) -> None:
        self._api, self._send = api, send
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.answers: list[httpx.Response] = []
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
        """What came back in the next seconds, requests that were under way left out; on a busy machine, in more."""
        time.sleep(0.3)
        with self._lock:
            start = len(self.answers)
        deadline = time.monotonic() + 60
        time.sleep(seconds)
        while len(self.answers) == start and time.monotonic() < deadline:
            time.sleep(0.1)
        with self._lock:
            return Counter(answer.status_code for answer in self.answers[start:])

    def until_more(self, good: int, count: int, seconds: float = 60) -> None:
        """Waits until `count` more were `good`, however long a busy machine takes for them."""
        wanted = count + sum(answer.status_code == good for answer in list(self.answers))
        deadline = time.monotonic() + seconds
        while sum(answer.status_code == good for answer in list(self.answers)) < wanted:
            assert time.monotonic() < deadline, "it is too slow"
            time.sleep(0.05)

    def until_well(self, good: int, seconds: float = 60) -> None:
        """Waits until nothing but `good` comes back."""
        deadline = time.monotonic() + seconds
        while set(self.statuses(0.5)) != {good}:
            assert time.monotonic() < deadline, "it did not recover"


def of_every_route(api: Api, has: Belongings) -> dict[tuple[str, str], httpx.Response]:
    """What each route answers to whom its things belong to; deletions come last."""
    document = api.client(BERTA).get("/openapi.json").json()
    order = ["get", "post", "put", "patch", "delete"]
    web = api.client(BERTA)
    tried = sorted(requests(document, has)[::2], key=lambda item: order.index(item[0]))
    return {(method, path): web.request(method, path, **options) for method, path, options in tried}


def in_redis(path: str) -> bool:
    """Whether what the path is about is kept in Redis."""
    return path.startswith(("/api/chats", "/api/users/"))


@pytest.fixture
def on_mariadb(own_mariadb: MariaDBServer, redis_url: str, tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path, own_mariadb.databases.create_database(), redis_url) as api:
        yield api


def sql_is_killed(api: Api, server: MariaDBServer | PostgreSQLServer) -> None:
    """Kills the server of the database while messages are posted, and starts it again."""
    chat = api.client("luke").post("/chat/chats", json={}).json()["id"]
    has = belongings_of(api.client(BERTA))

    def send(client: httpx.Client, number: int) -> httpx.Response:
        return client.post(f"/chat/chats/{chat}/messages", json={"content": str(number)})

    with Load(api, send) as load:
        load.until_more(201, 25)
        server.kill()
        away = load.statuses(2.0)
        assert set(away) == {503}, away
        health = httpx.get(f"{api.url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        login = httpx.post(f"{api.url}/api/login", json={"username": "x", "password": "y"})
        assert (login.status_code, login.json()["error"].split(":")[0]) == (500, "Login failed")
        answers = of_every_route(api, has)
        assert [key for key, answer in answers.items() if answer.status_code != 503 and not in_redis(key[1])] == []
        # Numbers are given out with a look at what SQL has archived; what is in Redis alone goes on.
        told = {key: answer.status_code for key, answer in answers.items() if in_redis(key[1])}
        assert {key for key, status in told.items() if status != 200} == {("post", "/api/chats")}, told
        assert told["post", "/api/chats"] == 503
        server.restart()
        load.until_well(201)
        load.until_more(201, 25)
    assert all("Retry-After" in answer.headers for answer in load.answers if answer.status_code == 503)
    assert {answer.status_code for answer in load.answers} == {201, 503}
    acknowledged = {answer.json()["id"] for answer in load.answers if answer.status_code == 201}
    with api.wiring.database(read_only=True).connect() as connection:
        stored = {row[0] for row in connection.exec_driver_sql("SELECT id FROM messages")}
    assert acknowledged <= stored
    assert len(acknowledged) >= 50
    deadline = time.monotonic() + 30
    while httpx.get(f"{api.url}/health").json()["status"] != "healthy":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    again = {key: answer.status_code for key, answer in of_every_route(api, has).items() if not in_redis(key[1])}
    assert set(again.values()) <= {200, 201}, again


@pytest.mark.mysql
def test_sql_killed_under_load_is_a_503_and_nothing_acknowledged_is_lost(
    on_mariadb: Api, own_mariadb: MariaDBServer
) -> None:
    sql_is_killed(on_mariadb, own_mariadb)


@pytest.mark.slow
@pytest.mark.postgresql
def test_postgresql_killed_is_the_same(own_postgresql: PostgreSQLServer, redis_url: str, tmp_path: Path) -> None:
    with running_api(tmp_path, own_postgresql.databases.create_database(), redis_url) as api:
        sql_is_killed(api, own_postgresql)


@pytest.mark.slow
@pytest.mark.mysql
def test_a_task_that_sql_went_away_from_is_done_all_the_same(
    own_mariadb: MariaDBServer, redis_url: str, tmp_path: Path
) -> None:
    task = {"agent_type": "content_generator", "task_type": "generate_content"}
    with running_model() as model:
        model.delay_seconds = 2.0
        env = {"CHATCTL_MODEL_URL": model.url}
        with running_api(tmp_path, own_mariadb.databases.create_database(), redis_url, env=env) as api:
            answers: list[httpx.Response] = []
            web = api.client("luke")
            asking = threading.Thread(target=lambda: answers.append(web.post("/api/v1/agents/execute", json=task)))
            asking.start()
            while not model.requests:
                time.sleep(0.01)
            own_mariadb.kill()
            asking.join()
            assert answers[0].status_code == 503
            own_mariadb.restart()
            with api.wiring.database(read_only=True).connect() as connection:
                (accepted,) = connection.exec_driver_sql("SELECT id FROM task_executions").one()
            deadline = time.monotonic() + 30
            while web.get(f"/api/v1/agents/tasks/{accepted}").json()["status"] != "completed":
                assert time.monotonic() < deadline
                time.sleep(0.2)


@pytest.mark.redis
def test_redis_killed_under_load_is_a_503_for_what_needs_it_alone(
    native_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    with running_api(tmp_path, native_url, own_redis.url, migrated=True) as api:
        chat = api.client("luke").post("/chat/chats", json={}).json()["id"]
        has = belongings_of(api.client(BERTA))

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
            told = {key: answer.status_code for key, answer in of_every_route(api, has).items()}
            assert {key: status for key, status in told.items() if in_redis(key[1]) and status != 503} == {}
            others = {key: status for key, status in told.items() if not in_redis(key[1])}
            # A purge takes what it deletes out of Redis too.
            assert others.pop(("post", "/purge")) == 503
            assert {key: status for key, status in others.items() if status not in (200, 201)} == {}
            own_redis.restart()
            sessions.until_well(200)
        assert {answer.status_code for answer in sessions.answers} == {200, 503}
        ids = [answer.json()["chat"]["chat_id"] for answer in sessions.answers if answer.status_code == 200]
        assert len(ids) == len(set(ids))
        listed = api.client("luke").get("/api/users/luke/chats", params={"limit": 1000}).json()
        assert set(ids) <= {found["chat_id"] for found in listed["chats"]} or listed["total"] > 1000


@pytest.mark.redis
def test_the_embedded_redis_is_started_again_with_all_it_had(native_url: str, tmp_path: Path) -> None:
    env = {"XDG_DATA_HOME": str(tmp_path / "data")}
    with running_api(tmp_path, native_url, "embedded", env=env, migrated=True) as api:
        web = api.client("luke")
        first = web.post("/api/chats", json={}).json()["chat"]["chat_id"]
        process = api.wiring.serving.redis.servers.client().info("server")["process_id"]
        os.kill(process, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while (answer := web.post("/api/chats", json={})).status_code != 200:
            assert answer.status_code == 503
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answer.json()["chat"]["chat_id"] != first
        assert web.get(f"/api/chats/{first}").status_code == 200


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
