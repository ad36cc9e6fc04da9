"""200 clients at once: no chat twice, no half pair, no refresh token used twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.support.api import PASSWORD, Api, running_api

CLIENTS = 200


def at_once(api: Api, send: Callable[[httpx.AsyncClient, int], Awaitable[Any]]) -> list[Any]:
    """What `send` returns for each of many clients that all start together."""

    async def all_of_them() -> list[Any]:
        # A connection each: one that is kept may be closed by the server in the moment it is used again.
        limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=api.url, limits=limits, timeout=60) as client:
            return await asyncio.gather(*(send(client, number) for number in range(CLIENTS)))

    return asyncio.run(all_of_them())


def rows(api: Api, statement: str) -> list[Any]:
    with api.wiring.serving.gateway.database.engine.connect() as connection:
        return list(connection.execute(sa.text(statement)))


@pytest.fixture(params=["native", *(
    pytest.param(name, marks=[getattr(pytest.mark, mark), pytest.mark.slow])
    for name, mark in (("mariadb", "mysql"), ("postgresql", "postgresql"))
)])  # fmt: skip
def racing(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> Any:
    """A server on an engine of this process, and on those that many write to at once."""
    url = request.getfixturevalue(f"{request.param}_url")
    with running_api(tmp_path, url, redis_url, migrated=request.param == "native") as api:
        yield api


def test_a_user_and_a_mentor_have_one_chat_whoever_comes_first(racing: Api) -> None:
    with racing.wiring.serving.gateway.database.begin() as connection:
        connection.execute(sa.text("INSERT INTO mentors (id, name) VALUES ('m', 'Minerva')"))
    headers = {"Authorization": f"Bearer {racing.token('nina')}"}

    async def talk(client: httpx.AsyncClient, number: int) -> httpx.Response:
        return await client.post("/mentor/chat", json={"prompt": f"q{number}", "mentorId": "m"}, headers=headers)

    answers = at_once(racing, talk)
    assert Counter(answer.status_code for answer in answers) == {200: CLIENTS}
    assert len({answer.json()["data"]["chatId"] for answer in answers}) == 1
    assert [row[0] for row in rows(racing, "SELECT count(*) FROM chats")] == [1]
    pairs = Counter(row[0] for row in rows(racing, "SELECT prompt FROM messages"))
    assert set(pairs.values()) == {2}
    assert len(pairs) == CLIENTS
    told = {answer.json()["data"]["messageId"] for answer in answers}
    assert told == {row[0] for row in rows(racing, "SELECT id FROM messages WHERE role = 'assistant'")}


def test_a_refresh_token_is_used_once_by_200_at_once(racing: Api) -> None:
    racing.account("rita")
    login = racing.client().post("/api/v1/auth/login", json={"username": "rita", "password": PASSWORD}).json()

    async def refresh(client: httpx.AsyncClient, number: int) -> int:
        body = {"refresh_token": login["refresh_token"]}
        return (await client.post("/api/v1/auth/refresh", json=body)).status_code

    # What guards against guessing would hide the race.
    racing.parts.admission._limiter = None
    statuses = Counter(at_once(racing, refresh))
    assert statuses == {200: 1, 401: CLIENTS - 1}
    assert rows(racing, "SELECT count(*) FROM sessions WHERE token_revoked_at IS NULL") == [(0,)]


def test_a_chat_of_rays_and_a_stored_session_have_one_owner(racing: Api) -> None:
    tokens = {number: {"Authorization": f"Bearer {racing.token(f'u{number % 2}')}"} for number in range(CLIENTS)}

    async def write(client: httpx.AsyncClient, number: int) -> tuple[int, int, int]:
        ids = {"project_id": "p-00000001", "chat_id": "chat-00000001", "user_id": f"u{number % 2}"}
        ray = await client.post("/api/vscode_user_message", json={"message": "m", **ids}, headers=tokens[number])
        stored = await client.post("/query", json={"query": "q", "session_id": "s"}, headers=tokens[number])
        return number % 2, ray.status_code, stored.status_code

    answers = at_once(racing, write)
    for position in (1, 2):
        owners = {answer[0] for answer in answers if answer[position] == 200}
        assert len(owners) == 1
        assert {answer[position] for answer in answers} == {200, 403}
    written = rows(racing, "SELECT user_id, count(*) FROM messages WHERE project_id IS NOT NULL GROUP BY user_id")
    assert len(written) == 1
    assert written[0][1] == sum(answer[1] == 200 for answer in answers)
