"""`chatctl serve` as its users run it: alone, under systemd, and stopped."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.support import schemas
from tests.support.cli import Cli, Completed
from tests.support.model_server import running_model

SECONDS = 60


def url_of(process: subprocess.Popen[bytes]) -> str:
    """The URL that the server says it is at."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"chatctl serves at "):
            return line.split()[-1].decode()
    raise AssertionError("It did not start.")


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(SECONDS)
        yield listener


def test_serve_alone_works_and_sigterm_drains_it(run_cli: Cli, tmp_path: Path, notified: socket.socket) -> None:
    with running_model() as model:
        model.delay_seconds = 1.0
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "CHATCTL_MODEL_URL": model.url}
        process = run_cli.start("serve", "--port", "0", "--auth", "off", "-o", "json", env=env)
        url = url_of(process)
        assert notified.recv(100) == b"READY=1"
        with httpx.Client(base_url=url, timeout=SECONDS) as client:
            assert client.get("/health").json()["services"]["database"]["status"] == "healthy"
            assert client.post("/chat/chats", json={"title": "x"}).status_code == 201
            found: list[httpx.Response] = []
            asking = threading.Thread(target=lambda: found.append(client.post("/query", json={"query": "slow"})))
            asking.start()
            while not model.requests:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            asking.join()
        stdout, stderr = process.communicate(timeout=SECONDS)
    assert notified.recv(100) == b"STOPPING=1"
    assert found[0].status_code == 200, "what was under way is answered"
    assert process.returncode == 0
    answer = json.loads(stdout)
    schemas.check("serve", answer)
    assert answer["data"] == {"url": url, "auth": False}
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith(b"{")]
    asked = next(line for line in lines if line.get("path") == "/query")
    assert (asked["status"], asked["logger"]) == (200, "chatctl.access")
    assert asked["ms"] > 900
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--auth", "off", "--host", "0.0.0.0"], 2, "loopback alone"),
        (["--demo-user", "--host", "0.0.0.0"], 2, "loopback alone"),
        (["--auth", "maybe"], 2, "on or off"),
        (["--system", "nothing"], 2, "There is no system 'nothing'"),
        (["--system", "toolboxai", "--layout", "mentor", "--database", "sqlite:///empty.db"], 4, ""),
    ],
)
def test_what_cant_be_served_is_refused(
    invoke: Callable[..., Completed], tmp_path: Path, arguments: list[str], exit_code: int, message: str
) -> None:
    (tmp_path / "empty.db").touch()
    answer = invoke("serve", "--port", "0", *arguments, "-o", "json")
    assert answer.exit_code == exit_code, answer
    assert message in answer.json["errors"][0]["message"]
