"""Hostile input: refused in a sentence, never with a 5xx, and the server lives on."""

from __future__ import annotations

import json
import socket
import time

import httpx
import pytest
from tests.support.api import Api

HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
def web(api: Api) -> httpx.Client:
    return api.client("mallory")


@pytest.fixture
def chat(web: httpx.Client) -> str:
    made: str = web.post("/chat/chats", json={}).json()["id"]
    return made


BODIES = {
    "deep": b'{"content":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep metadata": b'{"content":"x","metadata":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
    "NUL": b'{"content":"a\\u0000b"}',
    "raw NUL": b'{"content":"a\x00b"}',
    "lone surrogate": b'{"content":"\\ud800"}',
    "no UTF-8": b'{"content":"\xff\xfe"}',
    "NaN": b'{"content":"x","metadata":{"n":NaN}}',
    "endless number": b'{"content":"x","metadata":{"n":1e999}}',
    "a list": b"[1]",
    "null": b"null",
    "nothing": b"",
    "a number for a text": b'{"content":1}',
    "a role of his own": b'{"content":"x","role":"root"}',
    "no object": b'{"content":"x","metadata":[1]}',
    "a huge count": b'{"content":"x","tokens":99999999999999999999}',
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_makes_no_sense_is_refused(web: httpx.Client, chat: str, kind: str) -> None:
    answer = web.post(f"/chat/chats/{chat}/messages", content=BODIES[kind], headers=HEADERS)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["message"]
    assert web.get(f"/chat/chats/{chat}/messages").json() == []


@pytest.mark.parametrize("path", ["/query", "/api/vscode_user_message", "/api/chats", "/api/v1/agents/execute"])
@pytest.mark.parametrize("kind", ["deep", "lone surrogate", "no UTF-8", "a list", "nothing"])
def test_every_system_refuses_it(web: httpx.Client, path: str, kind: str) -> None:
    assert web.post(path, content=BODIES[kind], headers=HEADERS).status_code == 400


@pytest.mark.parametrize("path", ["/api/login", "/api/v1/auth/login"])
@pytest.mark.parametrize("kind", ["deep", "lone surrogate", "a list", "nothing"])
def test_logins_refuse_it(web: httpx.Client, path: str, kind: str) -> None:
    assert web.post(path, content=BODIES[kind], headers=HEADERS).status_code == 400


def test_10_megabytes_are_not_read(web: httpx.Client, chat: str) -> None:
    body = json.dumps({"content": "x" * 10_000_000}).encode()
    answer = web.post(f"/chat/chats/{chat}/messages", content=body, headers=HEADERS)
    assert (answer.status_code, answer.json()) == (413, {"message": "The body is too large."})

    def pieces():  # without a length, as a chunked body comes
        for _ in range(160):
            yield b"x" * 65_536

    assert web.post(f"/chat/chats/{chat}/messages", content=pieces(), headers=HEADERS).status_code == 413
    assert web.get("/health").status_code == 200


@pytest.mark.parametrize(
    "path", ["/chat/chats/%00", "/conversations/a%00b", "/api/chats/%00", "/conversations?accountId=a%00"]
)
def test_a_nul_in_a_path_or_a_query_is_refused(web: httpx.Client, path: str) -> None:
    assert web.get(path).status_code == 400


@pytest.mark.parametrize("text", ["' OR 1=1 --", "../../etc/passwd", "%FF%FE", "😀" * 60, "a" * 4_000, "%ED%A0%80"])
def test_odd_ids_are_just_not_found(web: httpx.Client, text: str) -> None:
    for path in ("/chat/chats/", "/conversations/", "/api/chats/", "/api/v1/agents/tasks/"):
        assert web.get(path + text).status_code in (400, 404), path


def test_a_header_cant_be_injected(api: Api) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r b\r\nConnection: close\r\n\r\n")
        head = connection.recv(65_536).split(b"\r\n\r\n")[0]
    assert b"a\r b" not in head
    answer = httpx.get(f"{api.url}/health", headers={"X-Request-ID": "a b\tc<script>"})
    assert len(answer.headers["X-Request-ID"]) == 32
    assert httpx.get(f"{api.url}/health", headers={"X-Request-ID": "trace-1"}).headers["X-Request-ID"] == "trace-1"


def test_every_answer_bears_the_security_headers(web: httpx.Client) -> None:
    for path in ("/health", "/chat/chats", "/nowhere", "/metrics"):
        headers = web.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert len(headers["X-Request-ID"]) == 32
        assert "server" not in headers


def test_a_header_that_says_who_calls_means_nothing_beside_a_token(api: Api) -> None:
    mine = api.client("mallory").get("/chat/chats", headers={"X-User-ID": "berta"})
    assert mine.status_code == 200
    assert api.client().get("/chat/chats", headers={"X-User-ID": "berta"}).status_code == 401


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error_of_the_server(
    api: Api, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="chatctl")
    address = httpx.URL(api.url)
    with socket.create_connection((address.host, address.port or 0), timeout=5) as connection:
        head = f"POST /chat/chats HTTP/1.1\r\nHost: a\r\nAuthorization: {web.headers['Authorization']}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        time.sleep(0.2)
    deadline = time.monotonic() + 10
    while not (told := [record.getMessage() for record in caplog.records]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert told == ["POST /chat/chats 499"]
    assert web.get("/chat/chats").status_code == 200
