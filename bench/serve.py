"""The embedded API beside bare FastAPI routes: message posts and health, one worker, 32 clients.

`python -m bench serve`. The bare route writes one row to the same SQLite file with the same durability; its health
returns a constant. All are served by uvicorn in processes of their own and asked by the same client, in turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CLIENTS = 32
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
ROUNDS = 3
#: How many times the median p99 may be.
MOST_SPREAD = 3.0

_BARE = """
import sqlite3, sys, threading, uuid
from datetime import datetime, timezone
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app, local = FastAPI(), threading.local()

class Message(BaseModel):
    role: str = "user"
    content: str

def connection():
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
        local.connection.execute("PRAGMA journal_mode = WAL")
        local.connection.execute("PRAGMA synchronous = FULL")
    return local.connection

def write(chat, message):
    row = (uuid.uuid4().hex, chat, message.role, message.content, datetime.now(timezone.utc).isoformat())
    connection().execute("INSERT INTO messages (id, chat_id, role, content, created_at) VALUES (?, ?, ?, ?, ?)", row)
    return {"id": row[0], "chatId": chat, "role": message.role, "content": message.content, "createdAt": row[4]}

@app.post("/messages/{chat}", status_code=201)
def post(chat: str, message: Message):
    return write(chat, message)

@app.post("/async/{chat}", status_code=201)
async def post_async(chat: str, message: Message):
    return write(chat, message)

@app.get("/health")
async def health():
    return {"status": "healthy"}

uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning")
"""


@dataclass
class Measured:
    """What one round gave: requests a second, and milliseconds."""

    rate: float
    median_ms: float
    p99_ms: float


def main() -> int:
    """Measures in turns and prints the ratios; 1 where a limit was missed."""
    with tempfile.TemporaryDirectory(prefix="chatctl-bench-") as name:
        folder = Path(name)
        database, env = folder / "chat.db", _environment(folder)
        ours, url, chat, token = _start_ours(folder, database, env)
        bare = subprocess.Popen([sys.executable, "-c", _BARE, str(database), "8765"])
        try:
            _await_port(8765)
            return 0 if _compare(url, chat, token) else 1
        finally:
            for process in (ours, bare):
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def _compare(url: str, chat: str, token: str) -> bool:
    port = int(url.rsplit(":", 1)[1])
    body = json.dumps({"role": "user", "content": "How do I configure panel X? " * 4}).encode()
    posts = {
        "bare": _request("POST", f"/messages/{chat}", body),
        "bare, async": _request("POST", f"/async/{chat}", body),
        "chatctl": _request("POST", f"/chat/chats/{chat}/messages", body, token),
    }
    healths = {"bare": _request("GET", "/health"), "chatctl": _request("GET", "/health")}
    kept = True
    for what, requests, status, least in (("message posts", posts, b"201", 0.6), ("health", healths, b"200", 0.8)):
        rounds: dict[str, list[Measured]] = {name: [] for name in requests}
        for _ in range(ROUNDS):
            for name, request in requests.items():
                place = port if name == "chatctl" else 8765
                rounds[name].append(asyncio.run(_measure(place, request, status)))
        for name, found in rounds.items():
            rate = statistics.median(one.rate for one in found)
            median = statistics.median(one.median_ms for one in found)
            p99 = statistics.median(one.p99_ms for one in found)
            times = f"median {median:6.2f} ms   p99 {p99:6.2f} ms = {p99 / median:.1f}x"
            print(f"{what:14} {name:11} {rate:8,.0f}/s   {times}")
        for name in requests:
            if name != "chatctl":
                ratios = [ours.rate / bare.rate for ours, bare in zip(rounds["chatctl"], rounds[name], strict=True)]
                each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
                print(f"{what:14} chatctl / {name}: {statistics.median(ratios):.2f} (rounds: {each})")
                kept = kept and statistics.median(ratios) >= least
        kept = kept and statistics.median(one.p99_ms / one.median_ms for one in rounds["chatctl"]) <= MOST_SPREAD
    return kept


async def _measure(port: int, request: bytes, status: bytes) -> Measured:
    times: list[float] = []
    ends = time.perf_counter() + SECONDS

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < ends:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if head[9:12] != status:
                raise SystemExit(f"Unexpected answer: {head[:60]!r}")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    times.sort()
    return Measured(len(times) / SECONDS, times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000)


def _request(method: str, path: str, body: bytes = b"", token: str | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}"] if body else []
    lines += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "XDG_DATA_HOME": str(folder),
        "CHATCTL_SERVE_REQUESTS_PER_MINUTE": "100000000",
        "CHATCTL_SERVE_BURST_SIZE": "100000000",
    }


def _start_ours(folder: Path, database: Path, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], str, str, str]:
    program = [sys.executable, "-m", "chatctl", "--database", f"sqlite:///{database}"]
    subprocess.run([*program, "migrate", "--yes"], env=env, check=True, capture_output=True)
    subprocess.run([*program, "users", "create", "bench"], env=env, check=True, capture_output=True)
    made = subprocess.run([*program, "users", "token", "bench", "-o", "json"], env=env, check=True, capture_output=True)
    token = json.loads(made.stdout)["data"]["token"]
    log = (folder / "log").open("wb")
    process = subprocess.Popen([*program, "serve", "--port", "0"], env=env, stderr=log)
    while b"serves at" not in (text := (folder / "log").read_bytes()):
        time.sleep(0.1)
    url = text.split(b"serves at ")[1].split()[0].decode()
    chat = asyncio.run(_make_chat(int(url.rsplit(":", 1)[1]), token))
    return process, url, chat, token


async def _make_chat(port: int, token: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request("POST", "/chat/chats", b"{}", token))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    made: str = json.loads(await reader.readexactly(length))["id"]
    writer.close()
    return made


def _await_port(port: int) -> None:
    import socket

    while True:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
