"""How long a backup takes, taken and verified by one command line each, beside the engines' own tools, as ratios.

python bench/backup.py [MESSAGES]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from tests.support.mariadb import MariaDBServer
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import Server, ServerUnavailableError

from chatctl.stores.sql.database import Database

MESSAGES = 1_000_000
ROUNDS = 5
#: Times the engine's own tool; megabytes resident.
LIMITS = (1.15, 200.0)

_TABLE = """CREATE TABLE messages (id VARCHAR(36) PRIMARY KEY, {q}userId{q} VARCHAR(64) NOT NULL,
 {q}mentorId{q} VARCHAR(64), content TEXT NOT NULL, role VARCHAR(16), {q}createdAt{q} {time} NOT NULL)"""
_STEP = 50_000
#: A backup and its verification in one process, as a script of cron's would run them.
_CHATCTL = """
import json, io, sys
from contextlib import redirect_stdout
from chatctl.cli.app import main
answer = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
with redirect_stdout(answer):
    code = main(["backup", "create", "--quiet", "--output", "json"])
answer.seek(0)
taken = json.load(answer)
assert code == 0, taken
with redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")):
    code = main(["backup", "verify", taken["data"]["id"], "--quiet", "--output", "json"])
sys.exit(code)
"""


@dataclass(frozen=True)
class Contender:
    """What is measured: its name, and what runs it once and tells the most megabytes it had resident."""

    name: str
    run: Callable[[], float]


def fill(url: str, messages: int) -> None:
    """Makes a table of chat messages of about 240 bytes each."""
    database = Database(url)
    mysql = database.url.get_backend_name() == "mysql"
    with database.begin() as connection:
        quote, time_type = ("`", "DATETIME(6)") if mysql else ('"', "TIMESTAMP(6)")
        connection.exec_driver_sql(_TABLE.format(q=quote, time=time_type))
    table = sa.Table("messages", sa.MetaData(), autoload_with=database.engine)
    keys = table.c.keys()
    for first in range(0, messages, _STEP):
        rows = [_message(number) for number in range(first, min(first + _STEP, messages))]
        with database.begin() as connection:
            database.dialect.bulk_insert(connection, table, keys, rows)
    database.close()


def _message(number: int) -> tuple[str, ...]:
    scattered = number * 2_654_435_761 % 2**32
    words = " ".join(f"word{scattered * step % 9_973}" for step in range(1, 15))
    second = f"2025-{1 + number % 12:02d}-{1 + number % 28:02d} {number % 24:02d}:{number % 60:02d}:00.000000"
    identity = f"{scattered:08x}-0000-4000-8000-{number:012x}"
    role = "user" if number % 2 else "assistant"
    return identity, f"user-{scattered % 20_000}", f"mentor-{number % 20}", f"Message {number}: {words}", role, second


def medians(contenders: list[Contender]) -> dict[str, tuple[float, float]]:
    """The median seconds of each, and its megabytes. They take turns, so that a busy moment hits all of them."""
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    memory = dict.fromkeys(times, 0.0)
    for _ in range(ROUNDS):
        for contender in contenders:
            started = time.perf_counter()
            memory[contender.name] = max(memory[contender.name], contender.run())
            times[contender.name].append(time.perf_counter() - started)
    return {name: (statistics.median(measured), memory[name]) for name, measured in times.items()}


def run(command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> float:
    """Runs one process to its end, which must be a good one; the most megabytes that it had resident itself."""
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_maxrss / 1024


def chatctl(url: str, folder: Path) -> Contender:
    """The command line, with everything that it starts and imports."""
    settings = {
        "CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor", "CHATCTL_BACKUP_STORE": str(folder / "store"),
        "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder),
    }  # fmt: skip
    command = [sys.executable, "-c", _CHATCTL]
    return Contender("chatctl backup create, verify", lambda: run(command, settings, folder))


def mariadb_dump(server: MariaDBServer, name: str, folder: Path) -> Contender:
    """mariadb-dump into zstd -3."""
    options = folder / "options.cnf"
    url = sa.make_url(server.url)
    options.write_text(f"[client]\nhost={url.host}\nport={url.port}\nuser={url.username}\npassword={url.password}\n")
    line = f"mariadb-dump --defaults-file={options} --single-transaction {name} | zstd -3 -q -f -o {folder}/dump.zst"
    return Contender("mariadb-dump | zstd -3", lambda: run(["sh", "-c", line]))


def pg_dump(server: PostgreSQLServer, name: str, folder: Path) -> Contender:
    """pg_dump in directory format, two jobs, gzip 3."""
    url = sa.make_url(server.url).set(database=name)
    environment = {
        "PGHOST": str(url.host), "PGPORT": str(url.port), "PGUSER": str(url.username), "PGPASSWORD": str(url.password),
    }  # fmt: skip
    line = f"rm -rf {folder}/dump && pg_dump -Fd -j2 -Z3 -f {folder}/dump {name}"
    return Contender("pg_dump -Fd -j2 -Z3", lambda: run(["sh", "-c", line], environment))


def measure(server: Server, messages: int) -> bool:
    """Prints the ratio and the memory on one server; whether both limits are kept."""
    assert isinstance(server, MariaDBServer | PostgreSQLServer)
    with tempfile.TemporaryDirectory() as name, server.databases.database() as url:
        folder = Path(name)
        fill(url, messages)
        database = str(sa.make_url(url).database)
        own = (
            mariadb_dump(server, database, folder)
            if isinstance(server, MariaDBServer)
            else pg_dump(server, database, folder)
        )
        ours = chatctl(url, folder)
        ours.run()
        found = medians([own, ours])
        sizes = {
            own.name: _size(folder / "dump") or _size(folder / "dump.zst"),
            ours.name: _size(max((folder / "store").iterdir()) / "sql"),
        }
    (seconds, megabytes), (its_seconds, _) = found[ours.name], found[own.name]
    ratio = seconds / its_seconds
    print(
        f"{server.title}, {messages:,} messages: {ours.name} {seconds:.2f} s ({sizes[ours.name] / 1e6:.0f} MB),"
        f" {ratio:.2f} times {own.name} ({its_seconds:.2f} s, {sizes[own.name] / 1e6:.0f} MB), at most {LIMITS[0]};"
        f" {megabytes:.0f} MB resident, at most {LIMITS[1]:.0f}"
    )
    return ratio <= LIMITS[0] and megabytes <= LIMITS[1]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def main(messages: int = MESSAGES) -> bool:
    """Measures each engine that this machine can start; whether all limits are kept."""
    kept = True
    for kind in (MariaDBServer, PostgreSQLServer):
        try:
            server = kind({"innodb-buffer-pool-size": "512M"} if kind is MariaDBServer else None)
        except ServerUnavailableError as problem:
            print(f"{kind.title}: left out ({problem})")
            continue
        with server:
            kept = measure(server, messages) and kept
    return kept


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES) else 1)
