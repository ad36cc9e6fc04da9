"""Whoever is named in `notify` is told how a run ended; nobody who isn't there keeps it from its work."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Completed

Invoke = Callable[..., Completed]


class _Listener(BaseHTTPRequestHandler):
    heard: list[tuple[str, str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.heard.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        return None


@pytest.fixture
def listener() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server's URL, and what it has heard: paths and bodies."""
    heard: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Listener", (_Listener,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", heard
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def system(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{tmp_path / 'chat.db'}")
    monkeypatch.setenv("CHATCTL_LAYOUT", "worker")
    return invoke


def test_a_health_check_a_webhook_and_a_command_are_told_how_a_run_ended(
    system: Invoke, tmp_path: Path, listener: tuple[str, list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, heard = listener
    told = tmp_path / "told.json"
    script = tmp_path / "tell.sh"
    script.write_text(f'#!/bin/sh\ncat > {told}\necho "$CHATCTL_ENDED $CHATCTL_STATUS" >> {told}.words\n')
    script.chmod(0o755)
    monkeypatch.setenv("CHATCTL_NOTIFY_PING_URL", f"{url}/ping")
    monkeypatch.setenv("CHATCTL_NOTIFY_WEBHOOK", f"{url}/hook/very-secret")
    monkeypatch.setenv("CHATCTL_NOTIFY_COMMAND", str(script))

    done = system("migrate", "up", "-o", "json")

    assert done.exit_code == 0, done
    assert [path for path, _ in heard] == ["/ping", "/hook/very-secret"]
    event: dict[str, Any] = json.loads(heard[1][1])
    assert event == json.loads(told.read_text())
    assert event == {
        "event": "run_ended", "command": "migrate up", "context": "default", "run_id": done.json["run_id"],
        "status": "success", "exit_code": 0, "message": None,
    }  # fmt: skip
    assert (tmp_path / "told.json.words").read_text() == "migrate up success\n"
    assert "very-secret" not in done.stdout + done.stderr

    heard.clear()
    (tmp_path / "chat.db").write_bytes(b"no database at all, but long enough to be looked at as one" * 20)
    assert system("migrate", "up").exit_code != 0
    assert heard[0][0] == "/ping/fail"
    assert json.loads(heard[1][1])["status"] == "error"
    assert json.loads(heard[1][1])["message"]


def test_nobody_is_told_of_a_dry_run_or_of_what_only_looks(
    system: Invoke, listener: tuple[str, list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, heard = listener
    monkeypatch.setenv("CHATCTL_NOTIFY_WEBHOOK", url)

    for command in (("migrate", "up", "--dry-run"), ("migrate", "status"), ("migrate", "plan")):
        system(*command)

    assert heard == []


def test_nobody_who_isnt_there_fails_a_run(system: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATCTL_NOTIFY_WEBHOOK", "http://127.0.0.1:1/secret-path")
    monkeypatch.setenv("CHATCTL_NOTIFY_COMMAND", "/nowhere/tell --all")

    done = system("migrate", "up")

    assert done.exit_code == 0
    assert "secret-path" not in done.stderr
