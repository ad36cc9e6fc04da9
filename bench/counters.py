"""How fast counters are checked, beside a plain scan of the same keys, and what it costs the server.

python bench/counters.py [RECORDS]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from bench.measured import measured

from chatctl.stores.redis.embedded import programs

RECORDS = 1_000_000
USERS = 20_000
#: Times a plain scan; megabytes resident; milliseconds of the server's slowest command.
LIMITS = (2.0, 200.0, 10.0)
#: The server keeps nothing on disk, which the check finds.
FINDINGS = 9

_FILL = """
for number = ARGV[1], ARGV[2] do
  local id = 'G-202512-' .. string.format('%06d', number)
  local user = 'user' .. (number % ARGV[3])
  redis.call('SET', 'chat:' .. id .. ':metadata', '{"chat_id": "' .. id .. '", "chat_name": "New conversation", '
    .. '"user_id": "' .. user .. '", "chat_type": "general", "project_number": null, "project_name": null, '
    .. '"page_name": null, "created_at": "2025-12-03T10:30:00Z", "message_count": 0, "status": "active"}')
  if ARGV[4] ~= '0' then redis.call('SADD', 'user:' .. user .. ':chats:all', id) end
end
"""
_STEP = 10_000


@contextmanager
def server() -> Iterator[str]:
    """The socket of a Redis server with nothing in it, which ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/redis.sock"
        command = [programs()[0].path, "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                while not Path(socket).exists():
                    time.sleep(0.01)
                yield socket
            finally:
                process.terminate()


def fill(socket: str, records: int, users: int = 0) -> None:
    """Writes `records` sessions and the counter; with `users` their indexes too."""
    client = redis.Redis(unix_socket_path=socket, db=1, socket_timeout=60)
    script = client.register_script(_FILL)
    for first in range(1, records + 1, _STEP):
        script(args=[first, min(first + _STEP - 1, records), USERS, users])
    redis.Redis(unix_socket_path=socket).set("session:counter:general:202512", records)


def slowest_ms(client: redis.Redis) -> float:
    """The milliseconds of the slowest command since the log was emptied."""
    return max((entry["duration"] for entry in client.slowlog_get(100)), default=0) / 1_000


def measure(cli: str, records: int, users: int) -> tuple[float, float, float]:
    """How many times the time of a plain scan, megabytes resident, milliseconds of the slowest command."""
    with server() as socket, tempfile.TemporaryDirectory() as home:
        fill(socket, records, users)
        client = redis.Redis(unix_socket_path=socket)
        environment = {"XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, "HOME": home}
        scanning = [cli, "-s", socket, "-n", "1", "--scan"]
        checking = [sys.executable, "-m", "chatctl", "--layout", "simorgh", "--redis", f"unix://{socket}", "-o", "json"]
        checking += ["counters", "check"]
        client.config_set("slowlog-log-slower-than", 500)
        client.slowlog_reset()
        # They take turns, so that a busy moment hits both.
        rounds = [(measured(scanning), measured(checking, environment, good=(0, FINDINGS))) for _ in range(3)]
        scan = min(scanned.seconds for scanned, _ in rounds)
        check = min(checked.seconds for _, checked in rounds)
        megabytes = max(checked.resident_mib for _, checked in rounds)
        slowest = slowest_ms(client)
    print(
        f"counters check, {records:,} records, {users:,} users' indexes: {check:.1f} s, {check / scan:.2f} times"
        f" redis-cli --scan ({scan:.1f} s); {megabytes:.0f} MB; slowest command {slowest:.1f} ms"
    )
    return check / scan, megabytes, slowest


def main(records: int = RECORDS) -> bool:
    """Prints the figures without and with users' indexes; whether those without keep the limits."""
    cli = shutil.which("redis-cli")
    if cli is None:
        print("redis-cli isn't on PATH: nothing to hold the check against.")
        return True
    found = measure(cli, records, 0)
    measure(cli, records, USERS)
    print("  limits: {:.0f} times the scan, {:.0f} MB, {:.0f} ms".format(*LIMITS))
    return all(value <= limit for value, limit in zip(found, LIMITS, strict=True))


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS) else 1)
