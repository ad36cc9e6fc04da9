"""The embedded Redis: one server for all processes, gone with the last of them, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from chatctl.errors import MissingToolError
from chatctl.stores.redis import embedded
from chatctl.stores.redis.embedded import EmbeddedRedis, programs

pytestmark = pytest.mark.redis

_HOLD = """
import sys, time
from pathlib import Path
from chatctl.stores.redis.embedded import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
print(server.acquire(), flush=True)
sys.stdin.read()
server.release()
"""


@pytest.fixture(autouse=True)
def _program_there() -> None:
    if not programs():
        pytest.skip("no redis-server on this machine")


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that uses the server until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline()
    return process


def client(folder: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(folder / "redis.sock"), decode_responses=True)


def server_processes(folder: Path) -> list[int]:
    """The processes that run in `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if entry.readlink() == folder:
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while server_processes(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server_processes(folder) == []


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "r"
    yield place
    if sys.platform == "linux":
        wait_until_gone(place)


def test_what_was_written_is_there_the_next_time(folder: Path) -> None:
    for expected in (1, 2, 3):
        server = EmbeddedRedis(folder)
        with redis.Redis(unix_socket_path=server.acquire()) as connected:
            assert connected.incr("count") == expected
        server.release()


def test_the_last_one_to_let_go_ends_the_server_at_once(folder: Path) -> None:
    first, second = EmbeddedRedis(folder), EmbeddedRedis(folder)
    first.acquire()
    second.acquire()
    first.release()
    with client(folder) as connected:
        assert connected.ping()
    second.release()
    assert not (folder / "redis.sock").exists()


def test_processes_share_one_server(folder: Path) -> None:
    holders = [holder(folder) for _ in range(4)]
    with client(folder) as connected:
        pids = {connected.info("server")["process_id"] for _ in holders}
    assert len(pids) == 1
    for process in holders:
        process.communicate("")


def test_many_that_come_and_go_together_always_find_one(folder: Path) -> None:
    count = "import redis; redis.Redis(unix_socket_path=p).incr('count')"
    code = _HOLD.replace("sys.stdin.read()", "").replace(
        "print(server.acquire(), flush=True)", f"p = server.acquire(); {count}"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(folder)]) for _ in range(8)]
    assert [process.wait(60) for process in running] == [0] * 8
    server = EmbeddedRedis(folder)
    with redis.Redis(unix_socket_path=server.acquire()) as connected:
        assert connected.get("count") == b"8"
    server.release()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_killed_user_leaves_no_server_behind(folder: Path) -> None:
    holders = [holder(folder) for _ in range(2)]
    for process in holders:
        process.kill()
        process.communicate()
    wait_until_gone(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_a_killed_supervisor_takes_the_server_with_it_and_the_next_user_starts_another(folder: Path) -> None:
    process = holder(folder)
    with client(folder) as connected:
        connected.set("kept", "yes")
        server_pid = connected.info("server")["process_id"]
    supervisor = int(Path(f"/proc/{server_pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    wait_until_gone(folder)
    again = EmbeddedRedis(folder)
    with redis.Redis(unix_socket_path=again.acquire()) as connected:
        assert connected.get("kept") == b"yes"
    process.communicate("")
    again.release()


@pytest.mark.skipif(sys.platform != "linux", reason="long paths are reached through /proc")
def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / ("x" * 120))
    with redis.Redis(unix_socket_path=server.acquire()) as connected:
        assert connected.ping()
    server.release()


def test_data_of_a_newer_server_is_not_touched_by_an_older_one(folder: Path) -> None:
    folder.mkdir()
    (folder / "written-by").write_text("99.0")
    with pytest.raises(MissingToolError, match=r"99\.0"):
        EmbeddedRedis(folder).acquire()


def test_a_machine_without_a_server_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "programs", list)
    with pytest.raises(MissingToolError) as caught:
        EmbeddedRedis(folder).acquire()
    assert "chatctl[embedded]" in (caught.value.hint or "")
