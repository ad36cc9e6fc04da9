"""Writers that take the next number in Redis, then insert it into SQL, as applications do.

`python -m tests.support.issuers DATABASE_URL REDIS_URL COUNT` runs so many at once until its stdin ends, in a process
of its own: threads of the tests' process would hold up what is tested.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import redis
import sqlalchemy as sa
from tests.support.backups import redis_client

from chatctl.stores.sql.database import Database

COUNTER = "session:counter:general:202512"

_INSERT = sa.text(
    "INSERT INTO archived_sessions (chat_id, user_id, chat_name, chat_type, metadata, created_at, last_active,"
    " archived_at) VALUES (:id, 'u1', 'n', 'general', '{}', '2025-12-01 00:00:00', '2025-12-01 00:00:00',"
    " '2025-12-01 00:00:00')"
)
#: Between two numbers of one writer.
_PAUSE_SECONDS = 0.05


@contextmanager
def issuing(url: str, redis_url: str, count: int) -> Iterator[None]:
    """`count` writers at work while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.issuers", url, redis_url, str(count)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait()
    assert process.returncode == 0


def main(url: str, redis_url: str, count: int) -> None:
    """Writes until stdin ends; fails where a writer has."""
    stop, started = threading.Event(), threading.Barrier(count + 1)
    engine = sa.create_engine(Database(url).url, pool_size=count, max_overflow=0)

    def write(client: redis.Redis) -> None:
        started.wait()
        while not stop.is_set():
            number = int(client.incr(COUNTER))
            with engine.begin() as connection:
                connection.execute(_INSERT, {"id": f"G-202512-{number:06d}"})
            time.sleep(_PAUSE_SECONDS)

    with redis_client(redis_url) as client, ThreadPoolExecutor(count) as pool:
        jobs = [pool.submit(write, client) for _ in range(count)]
        started.wait()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
        stop.set()
        for job in jobs:
            job.result()
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
