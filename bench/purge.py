"""Purge beside pt-archiver on the same rows of the same MariaDB server, as a ratio of messages a second.

    python -m bench.purge [MESSAGES]

pt-archiver deletes messages alone: in batches of 1,000, by bulk delete, with a commit for each. It runs as it is, and
once more with --primary-key-only, which spares it the reading of what it deletes. chatctl deletes the conversations
with their messages, looks again under locks, keeps its journal, and counts what is left. The server has a stock one's
sizes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from tests.support.databases import Databases
from tests.support.mariadb import MariaDBServer
from tests.support.purging import bed

MESSAGES = 1_000_000
PER_CONVERSATION = 10
#: One conversation in ten stays.
STAYING = 10
TARGET = 1.0
ROUNDS = 2

SETTINGS = {"innodb-buffer-pool-size": "128M", "innodb-log-file-size": "96M"}

_DAY_MS = 86_400_000


def fill(url: str, messages: int) -> None:
    """Conversations of ten messages each: of 40 days, and each tenth of today."""
    now = int(time.time() * 1000)
    age = f"IF(n %% {STAYING} = 0, {now}, {now - 40 * _DAY_MS} - n)"
    conversations = messages // PER_CONVERSATION
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO conversations (session_id, account_id, created_at, last_accessed_at)"
            f" SELECT CONCAT('session_', LPAD(n, 9, '0'), '_x7f3'), CONCAT('a', n %% 200), {age}, {age}"
            f" FROM (SELECT seq AS n FROM seq_1_to_{conversations}) AS numbers"
        )
        connection.exec_driver_sql(
            "INSERT INTO messages (session_id, `timestamp`, role, content)"
            f" SELECT CONCAT('session_', LPAD(n, 9, '0'), '_x7f3'), {age}, 'user',"
            " CONCAT('\"', REPEAT('why does this closure keep the old value? ', 1 + seq %% 5), '\"')"
            f" FROM (SELECT seq, 1 + (seq - 1) DIV {PER_CONVERSATION} AS n"
            f" FROM seq_1_to_{conversations * PER_CONVERSATION}) AS numbers"
        )
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE TABLE conversations, messages")
    engine.dispose()


def seconds_of_pt_archiver(url: str, *extra: str) -> float:
    """How long pt-archiver takes for the expired messages."""
    parsed = sa.make_url(url)
    source = {"h": parsed.host, "P": parsed.port, "u": parsed.username, "D": parsed.database, "t": "messages"}
    cutoff = int(time.time() * 1000) - 30 * _DAY_MS
    started = time.perf_counter()
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as options:
        options.write(f"[client]\npassword={parsed.password}\n")
        options.flush()
        dsn = ",".join(f"{key}={value}" for key, value in {**source, "F": options.name}.items() if value)
        command = ["pt-archiver", "--source", dsn, "--where", f"timestamp < {cutoff}", "--purge", "--limit", "1000"]
        flags = ["--bulk-delete", "--commit-each", "--no-check-charset", "--no-version-check", *extra]
        subprocess.run([*command, *flags], check=True)
    return time.perf_counter() - started


def seconds_of_chatctl(url: str, folder: Path, workers: int = 1) -> float:
    """How long `chatctl purge` takes, its start included."""
    environment = {
        **os.environ,
        "CHATCTL_DATABASE": url,
        "CHATCTL_LAYOUT": "worker",
        "CHATCTL_PURGE_ARCHIVE": "none",
        "XDG_DATA_HOME": str(folder),
    }
    started = time.perf_counter()
    command = [sys.executable, "-m", "chatctl", "--quiet", "purge", "--confirm", "default", "--workers", str(workers)]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def left(url: str) -> int:
    """The messages that are still there."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        count: int = connection.exec_driver_sql("SELECT COUNT(*) FROM messages").scalar_one()
    engine.dispose()
    return count


def main() -> None:
    """Runs both, one after the other, `ROUNDS` times; prints the rates and the ratio of the best of each."""
    messages = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BENCH_ROWS", MESSAGES))
    if shutil.which("pt-archiver") is None:
        print("purge: skipped, there is no pt-archiver (Debian: percona-toolkit)")
        return
    with MariaDBServer(SETTINGS) as server, tempfile.TemporaryDirectory() as folder:
        contenders: dict[str, Callable[[str], float]] = {
            "pt-archiver": seconds_of_pt_archiver,
            "pt-archiver, keys only": lambda url: seconds_of_pt_archiver(url, "--primary-key-only"),
            "chatctl": lambda url: seconds_of_chatctl(url, Path(folder)),
            "chatctl, two workers": lambda url: seconds_of_chatctl(url, Path(folder), 2),
        }
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        databases = Databases(server.url)
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                with databases.database() as url:
                    bed(url, "worker", Path(folder)).close()
                    fill(url, messages)
                    before = left(url)
                    took = contender(url)
                    rates[name].append((before - left(url)) / took)
                    print(f"  {name:22} {rates[name][-1]:10,.0f} messages/s", flush=True)
    best = {name: max(found) for name, found in rates.items()}
    for own in ("chatctl", "chatctl, two workers"):
        for name in ("pt-archiver", "pt-archiver, keys only"):
            print(f"purge: {own}: {best[own] / best[name]:.2f} × {name} (at least {TARGET:.1f})")


if __name__ == "__main__":
    main()
