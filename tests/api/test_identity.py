"""Who may come in: tokens, logins, roles."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from tests.support.api import PASSWORD, SECRET, Api, running_api

from chatctl.services.identity.tokens import Tokens, key_id

OTHER = "another secret that is long enough to sign with, too"
CLAIMS = {"iss": "chatctl", "aud": "chatctl:default", "sub": "eve", "role": "admin", "jti": "1"}


def now(seconds: int = 0) -> int:
    return int(time.time()) + seconds


def signed(secret: str = SECRET, algorithm: str = "HS256", kid: str | None = None, **changes: object) -> str:
    claims = {**CLAIMS, "iat": now(), "exp": now(60), **changes}
    whole = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(whole, secret, algorithm, headers={"kid": kid or key_id(SECRET)})


def unsigned() -> str:
    parts = ({"alg": "none", "typ": "JWT", "kid": key_id(SECRET)}, {**CLAIMS, "iat": now(), "exp": now(60)})
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return f"{text[0]}.{text[1]}."


HOSTILE: dict[str, Callable[[], str]] = {
    "alg none": unsigned,
    "another key": lambda: signed(OTHER),
    "another key by its own ID": lambda: signed(OTHER, kid=key_id(OTHER)),
    "another algorithm": lambda: signed(algorithm="HS384"),
    "expired": lambda: signed(exp=now(-1)),
    "without expiry": lambda: signed(exp=None),
    "of another issuer": lambda: signed(iss="somebody"),
    "for another audience": lambda: signed(aud="chatctl:staging"),
    "without an audience": lambda: signed(aud=None),
    "without a subject": lambda: signed(sub=None),
    "not yet issued": lambda: signed(nbf=now(600)),
    "ray's old form": lambda: "token_550e8400-e29b-41d4-a716-446655440000",
    "empty": lambda: ".",
    "long": lambda: "a" * 5000 + ".b.c",
}


def test_a_good_token_is_taken(api: Api) -> None:
    assert api.client("eve").get("/chat/chats").status_code == 200
    token = signed()
    assert httpx.get(f"{api.url}/chat/chats", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_token_that_isnt_ours_is_refused(api: Api, kind: str) -> None:
    answer = httpx.get(f"{api.url}/chat/chats", headers={"Authorization": f"Bearer {HOSTILE[kind]()}"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {"message": "The token is not valid."}


def test_every_route_but_health_and_login_wants_a_token(api: Api) -> None:
    document = api.client("eve").get("/openapi.json").json()
    free = {"/health", "/health/agents", "/health/mcp", "/api/health", "/api/login"}
    free |= {"/api/v1/auth/login", "/api/v1/auth/refresh", "/api/vscode_user_message", "/api/agent/stop"}
    nobody = api.client()
    asked = 0
    for path, operations in document["paths"].items():
        for method in operations:
            if path not in free:
                asked += 1
                answer = nobody.request(method, path.replace("{", "").replace("}", ""), json={})
                assert answer.status_code == 401, (method, path)
    assert asked > 25


def test_a_key_is_replaced_without_logging_everybody_out() -> None:
    old, new = Tokens([SECRET], "default"), Tokens([OTHER, SECRET], "default")
    token = old.issue("eve", "user", timedelta(minutes=1))
    assert new.verify(token).user_id == "eve"
    fresh = new.issue("eve", "user", timedelta(minutes=1))
    assert jwt.get_unverified_header(fresh)["kid"] == key_id(OTHER)
    with pytest.raises(Exception, match="not valid"):
        old.verify(fresh)


def test_a_remembered_token_expires_all_the_same() -> None:
    tokens = Tokens([SECRET], "default")
    token = tokens.issue("eve", "user", timedelta(seconds=1))
    assert tokens.verify(token).user_id == "eve"
    time.sleep(2.1)
    with pytest.raises(Exception, match="not valid"):
        tokens.verify(token)


def test_a_login_answers_as_the_sheet_says_and_nobody_gives_himself_a_role(api: Api) -> None:
    api.account("lena")
    body = {"username": "lena", "password": PASSWORD, "role": "admin"}
    answer = api.client().post("/api/v1/auth/login", json=body).json()
    assert set(answer) == {"access_token", "refresh_token", "token_type", "expires_in", "role", "user"}
    assert (answer["role"], answer["user"]["role"], answer["token_type"], answer["expires_in"]) == (
        "user", "user", "bearer", 1800,
    )  # fmt: skip
    by_address = api.client().post("/api/v1/auth/login", json={"email": "lena@example.org", "password": PASSWORD})
    assert by_address.status_code == 200
    for wrong in ({"username": "lena", "password": "no"}, {"username": "nobody", "password": PASSWORD}):
        refused = api.client().post("/api/v1/auth/login", json=wrong)
        assert (refused.status_code, refused.json()) == (401, {"detail": "Invalid credentials"})


def test_a_refresh_token_is_good_once_and_its_replay_ends_the_family(api: Api) -> None:
    api.account("rita")
    web = api.client()
    first = web.post("/api/v1/auth/login", json={"username": "rita", "password": PASSWORD}).json()
    second = web.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    headers = {"Authorization": f"Bearer {second.json()['access_token']}"}
    assert web.get("/chat/chats", headers=headers).status_code == 200
    assert web.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]}).status_code == 401
    assert web.post("/api/v1/auth/refresh", json={"refresh_token": second.json()["refresh_token"]}).status_code == 401
    assert web.get("/chat/chats", headers=headers).status_code == 401


def test_logging_out_ends_the_login_and_no_other(api: Api) -> None:
    api.account("otto")
    web = api.client()
    logins = [web.post("/api/v1/auth/login", json={"username": "otto", "password": PASSWORD}).json() for _ in range(2)]
    headers = [{"Authorization": f"Bearer {login['access_token']}"} for login in logins]
    assert web.post("/api/v1/auth/logout", headers=headers[0]).status_code == 200
    assert web.get("/chat/chats", headers=headers[0]).status_code == 401
    assert web.post("/api/v1/auth/refresh", json={"refresh_token": logins[0]["refresh_token"]}).status_code == 401
    assert web.get("/chat/chats", headers=headers[1]).status_code == 200
    without_login = api.client("otto").post("/api/v1/auth/logout").json()
    assert without_login["success"] is False, "a token that nothing can end isn't said to be ended"


def test_without_a_token_ray_serves_the_anonymous_user_alone(api: Api) -> None:
    body = {"message": "hi", "project_id": "p-00000001", "chat_id": "chat-00000001"}
    nobody = "00000000-0000-4000-8000-000000000000"
    web = api.client()
    assert web.post("/api/vscode_user_message", json={**body, "user_id": nobody}).status_code == 200
    refused = web.post("/api/vscode_user_message", json={**body, "user_id": "somebody"})
    assert (refused.status_code, refused.json()) == (401, {"error": "Authentication required"})


@pytest.mark.parametrize("attempts", [30, pytest.param(10_000, marks=pytest.mark.slow)])
def test_bad_logins_are_slowed_and_logged(
    attempts: int, native_url: str, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("chatctl")
    caplog.set_level("WARNING", logger="chatctl")
    # A command that ran in this process may have cut the logger off from the root.
    logger.propagate = True
    with running_api(tmp_path, native_url, redis_url, migrated=True) as api:
        api.account("victim")
        web = api.client()
        tries = [web.post("/api/login", json={"username": "victim", "password": f"guess {n}"}) for n in range(attempts)]
    statuses = [answer.status_code for answer in tries]
    # Ten a minute are answered, however long the others take.
    answered = statuses.count(401)
    assert statuses[:12] == [401] * 10 + [429] * 2
    assert answered + statuses.count(429) == attempts
    assert answered <= 10 * (1 + sum((answer.elapsed for answer in tries), timedelta()) // timedelta(minutes=1))
    assert 0 < int(tries[-1].headers["Retry-After"]) <= 60
    assert tries[-1].json()["retry_after"] == int(tries[-1].headers["Retry-After"])
    # Where the logger hands on what a handler of its own takes too, a record is kept twice.
    told = [record.getMessage() for record in {id(record): record for record in caplog.records}.values()]
    assert sum("Login refused" in text for text in told) == answered
    assert sum("Too many attempts" in text for text in told) == attempts - answered
    assert not any("victim" in text or "guess" in text for text in told)
