"""A language model for the tests: an HTTP server that speaks OpenAI's protocol and does as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ModelServer:
    """`status` is what it answers with, after `delay_seconds`; `failures` more requests fail first."""

    port: int = 0
    status: int = 200
    failures: int = 0
    delay_seconds: float = 0.0
    text: str = "Certainly."
    requests: list[dict[str, Any]] = field(default_factory=list)
    _server: _Server | None = None

    @property
    def url(self) -> str:
        """What model.url says."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self._server is not None

    def start(self) -> None:
        """Listens, on the same port as before."""
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.model = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuses connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    model: ModelServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def model(self) -> ModelServer:
        assert isinstance(self.server, _Server)
        return self.server.model

    def do_GET(self) -> None:
        self._answer(200, {"data": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.model.requests.append({**body, "authorization": self.headers.get("Authorization")})
        time.sleep(self.model.delay_seconds)
        if self.model.failures > 0:
            self.model.failures -= 1
            self._answer(503, {"error": "busy"})
        elif self.model.status != 200:
            self._answer(self.model.status, {"error": "no"})
        elif body.get("stream"):
            self._stream()
        else:
            usage = {"prompt_tokens": 7, "completion_tokens": 3}
            message = {"message": {"role": "assistant", "content": self.model.text}}
            self._answer(200, {"model": "told", "choices": [message], "usage": usage})

    def _stream(self) -> None:
        pieces = [{"choices": [{"delta": {"content": f"{word} "}}]} for word in self.model.text.split()]
        text = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
        self._send(200, text.encode(), "text/event-stream")

    def _answer(self, status: int, body: Any) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        if not self.model.is_up:
            # A connection that was kept open dies with the server.
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def running_model() -> Iterator[ModelServer]:
    """A model that is there."""
    server = ModelServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
