"""Regrouping beside what people write by hand, on the same rows of the same server, as ratios of messages a second.

    python -m bench.regroup [MESSAGES] [ENGINE…] [--tenfold]

Messages are heavy-tailed: few users wrote most of them. chatctl keeps its journal, its batches are bounded, and it
takes the checksum that `regroup verify` compares with; the contenders do none of that. They take turns, and the best
round of each counts. With --tenfold chatctl alone regroups that many messages and ten times as many.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from bench.measured import measured
from tests.support.mariadb import MariaDBServer
from tests.support.migrated import Migrated
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import ServerUnavailableError

from chatctl.layouts import Phase, load_layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.tables import LayoutTables

#: The highest resident size of each run, in MiB.
resident: list[float] = []

USERS, MENTORS = 20_000, 20
#: As many as the machine has cores that the figures of docs/benchmarks.md come from.
WORKERS = 2
MEMORY_MIB = 200
ROUNDS = 2
#: How much longer a message may take among ten times as many.
TENFOLD = 1.15
SERVERS = {"mariadb": MariaDBServer, "postgresql": PostgreSQLServer}
#: A stock server's memory: what the tests' servers are given is less.
STOCK = {
    "mariadb": {"innodb-buffer-pool-size": "128M", "innodb-log-file-size": "96M"},
    "postgresql": {"shared_buffers": "128MB"},
}
#: What whoever keeps ten million messages gives a server: memory that holds them, and room for its log.
SIZED = {
    "mariadb": {"innodb-buffer-pool-size": "4G", "innodb-log-file-size": "2G"},
    "postgresql": {"shared_buffers": "4GB", "max_wal_size": "8GB"},
}

_WORDS = ("why", "does", "this", "closure", "keep", "the", "old", "value", "спасибо", "🙂", "maybe")

_ID = "CONCAT('c', MD5(CONCAT(CHAR_LENGTH({u}), ':', {u}, CHAR_LENGTH({m}), ':', {m})))"
_MARIADB_ID = _ID.format(u="m.`userId`", m="m.`mentorId`")
_PG_ID = '\'c\' || md5(length("userId") || \':\' || "userId" || length("mentorId") || \':\' || "mentorId")'
_MADE = "m.`userId`, m.`mentorId`, CONCAT('Chat with ', m.`mentorId`), 1, MIN(`createdAt`), MAX(`createdAt`)"
_COLUMNS = "(id, `userId`, `mentorId`, title, `isActive`, `createdAt`, `updatedAt`)"


@dataclass(frozen=True)
class Contender:
    """What chatctl is held against: how it works on a database, and the ratio of its rate that must be reached."""

    name: str
    work: Callable[[Database], None]
    target: float


def by_hand_mariadb(database: Database) -> None:
    """INSERT … SELECT, then UPDATE … JOIN, with an index on the chats."""
    _execute(
        database,
        "CREATE INDEX by_hand ON chats (`userId`, `mentorId`)",
        f"INSERT INTO chats {_COLUMNS} SELECT {_MARIADB_ID}, {_MADE} FROM messages m"
        " WHERE m.`mentorId` IS NOT NULL GROUP BY m.`userId`, m.`mentorId`",
        "UPDATE messages m JOIN chats c ON c.`userId` = m.`userId` AND c.`mentorId` = m.`mentorId`"
        " SET m.`chatId` = c.id",
    )


def batches_mariadb(database: Database) -> None:
    """Batches of 5,000 with IDs computed in SQL, and no journal."""
    after = ""
    with database.engine.connect() as connection:
        while True:
            upper = connection.exec_driver_sql(
                "SELECT MAX(id) FROM (SELECT id FROM messages WHERE id > %s ORDER BY id LIMIT 5000) AS t", (after,)
            ).scalar()
            if upper is None:
                return
            chosen = "m.id > %s AND m.id <= %s AND m.`mentorId` IS NOT NULL"
            connection.exec_driver_sql(
                f"INSERT IGNORE INTO chats {_COLUMNS} SELECT {_MARIADB_ID}, {_MADE} FROM messages m WHERE {chosen}"
                " GROUP BY m.`userId`, m.`mentorId`",
                (after, upper),
            )
            connection.exec_driver_sql(
                f"UPDATE messages m SET m.`chatId` = {_MARIADB_ID} WHERE {chosen}", (after, upper)
            )
            connection.commit()
            after = upper


def by_hand_postgresql(database: Database) -> None:
    """INSERT … SELECT, then UPDATE … FROM."""
    made = (
        _MADE.replace("m.`", "`")
        .replace("`", '"')
        .replace(", 1,", ", true,")
        .replace("CONCAT('Chat with ', ", "('Chat with ' || ")
    )
    _execute(
        database,
        'CREATE INDEX by_hand ON chats ("userId", "mentorId")',
        f"INSERT INTO chats {_COLUMNS.replace('`', chr(34))} SELECT {_PG_ID}, {made} FROM messages"
        ' WHERE "mentorId" IS NOT NULL GROUP BY "userId", "mentorId"',
        'UPDATE messages m SET "chatId" = c.id FROM chats c'
        ' WHERE c."userId" = m."userId" AND c."mentorId" = m."mentorId"',
    )


def by_hand_sqlite(database: Database) -> None:
    """INSERT … SELECT, then an UPDATE that looks each chat up, with an index on the chats."""
    made = _MADE.replace("m.`", "`").replace("`", '"').replace("CONCAT('Chat with ', ", "('Chat with ' || ")
    _execute(
        database,
        'CREATE INDEX by_hand ON chats ("userId", "mentorId")',
        f"INSERT INTO chats {_COLUMNS.replace('`', chr(34))} SELECT {_PG_ID}, {made} FROM messages"
        ' WHERE "mentorId" IS NOT NULL GROUP BY "userId", "mentorId"',
        'UPDATE messages SET "chatId" = (SELECT id FROM chats c WHERE c."userId" = messages."userId"'
        ' AND c."mentorId" = messages."mentorId")',
    )


CONTENDERS = {
    "mariadb": [Contender("by hand", by_hand_mariadb, 1.3), Contender("batches of 5,000", batches_mariadb, 0.85)],
    "postgresql": [Contender("by hand", by_hand_postgresql, 1.0)],
    "sqlite": [Contender("by hand", by_hand_sqlite, 0.8)],
}


def regroup(database: Database) -> None:
    """chatctl's own run as a process of its own, start-up included: `regroup run --workers 2`."""
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "chatctl", "--quiet", "regroup", "run", "--workers", str(WORKERS)]
    run = measured(command, {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor"})
    resident.append(run.resident_mib)


def messages(count: int) -> Iterator[tuple[Any, ...]]:
    """`count` messages, heavy-tailed over users and mentors, in the order of time."""
    chance = random.Random(7)
    users = list(itertools.accumulate(1 / (rank + 10) ** 1.307 for rank in range(USERS)))
    mentors = list(itertools.accumulate(1 / (rank + 1) for rank in range(MENTORS)))
    text = " ".join(chance.choices(_WORDS, k=400))
    moment = datetime(2024, 1, 1)
    for number in range(count):
        moment += timedelta(milliseconds=int(chance.expovariate(1 / 30_000)))
        user = bisect.bisect(users, chance.random() * users[-1])
        mentor = bisect.bisect(mentors, chance.random() * mentors[-1])
        begin = chance.randrange(1_500)
        content = text[begin : begin + int(min(600, chance.expovariate(1 / 120)))] or "x"
        yield f"c{number:012x}{chance.getrandbits(48):012x}", f"u{user:06d}", f"m{mentor:02d}", "user", content, moment


def make_legacy(database: Database) -> Migrated:
    """Makes the layout's legacy tables, with users and mentors, and no message."""
    layout = load_layout("mentor")
    migrated = Migrated(layout, database)
    migrated.up_to(Phase.LEGACY)
    tables, insert = LayoutTables(layout), database.dialect.bulk_insert
    with database.begin() as connection:
        insert(connection, tables["users"], ["id"], [(f"u{number:06d}",) for number in range(USERS)])
        insert(connection, tables["mentors"], ["id"], [(f"m{number:02d}",) for number in range(MENTORS)])
    return migrated


def fill(database: Database, count: int) -> None:
    """Makes the layout's tables after its expand phase, with users, mentors and `count` messages."""
    migrated = make_legacy(database)
    table, insert = LayoutTables(migrated.layout)["messages"], database.dialect.bulk_insert
    keys = ["id", "user_id", "mentor_id", "role", "content", "created_at"]
    rows = messages(count)
    while chunk := list(itertools.islice(rows, 50_000)):
        with database.begin() as connection:
            insert(connection, table, keys, chunk)
    for revision in migrated.revisions.chain[1:]:
        if revision.phase is Phase.EXPAND:
            migrated.step(revision, "up")


@contextmanager
def fresh(engine: str, memory: Mapping[str, dict[str, str]] = STOCK) -> Iterator[Callable[[], Database]]:
    """Makes a new, empty database at each call, on a server with that `memory`.

    Raises ServerUnavailableError where there is no server.
    """
    with ExitStack() as stack:
        if engine == "sqlite":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            numbers = itertools.count()
            yield lambda: Database(f"sqlite:///{folder}/{next(numbers)}.db")
            return
        server = stack.enter_context(SERVERS[engine](memory[engine]))
        yield lambda: Database(server.databases.create_database())


def seconds_of(work: Callable[[Database], None], make: Callable[[], Database], count: int) -> float:
    """How long `work` takes on a database of its own."""
    database = make()
    try:
        fill(database, count)
        began = time.monotonic()
        work(database)
        taken = time.monotonic() - began
        table = LayoutTables(load_layout("mentor"))["messages"]
        with database.connect() as connection:
            left = connection.scalar(sa.select(sa.func.count()).where(table.c.chat_id.is_(None)))
        assert left == 0, f"{left} messages were left behind"
        return taken
    finally:
        database.close()


def compare(engine: str, count: int) -> bool:
    """Prints the rates and ratios on one engine; whether every target was met."""
    met = True
    own, theirs = math.inf, dict.fromkeys(CONTENDERS[engine], math.inf)
    with fresh(engine) as make:
        for _ in range(ROUNDS):
            own = min(own, seconds_of(regroup, make, count))
            theirs = {each: min(taken, seconds_of(each.work, make, count)) for each, taken in theirs.items()}
    print(f"{engine:11} chatctl            {count / own:>10,.0f} messages/s")
    for contender, taken in theirs.items():
        ratio = taken / own
        met = met and ratio >= contender.target
        print(
            f"{engine:11} {contender.name:18} {count / taken:>10,.0f} messages/s   "
            f"chatctl {ratio:.2f}× (at least {contender.target:.2f}×)",
            flush=True,
        )
    return met


def grow(engine: str, count: int) -> bool:
    """Prints what a message takes among ten times as many; whether that is about as long."""
    with fresh(engine) as make:
        few, many = (seconds_of(regroup, make, size) / size for size in (count, 10 * count))
    print(
        f"{engine:11} a message takes {few * 1e6:.1f} µs among {count:,}, {many * 1e6:.1f} µs among {10 * count:,}:"
        f" {many / few:.2f}× (at most {TENFOLD:.2f}×)",
        flush=True,
    )
    return many / few <= TENFOLD


def main() -> int:
    """Compares on every engine that this machine has; 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("messages", type=int, nargs="?", default=1_000_000)
    parser.add_argument("engines", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--tenfold", action="store_true")
    asked = parser.parse_args()
    work = grow if asked.tenfold else compare
    met = True
    for engine in asked.engines:
        try:
            met = work(engine, asked.messages) and met
        except ServerUnavailableError as problem:
            print(f"{engine}: left out ({problem})")
    if resident:
        print(f"highest resident size of a run {max(resident):,.0f} MiB (at most {MEMORY_MIB})")
    return 0 if met and max(resident, default=0) <= MEMORY_MIB else 1


def _execute(database: Database, *statements: str) -> None:
    with database.engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))
            connection.commit()


if __name__ == "__main__":
    sys.exit(main())
