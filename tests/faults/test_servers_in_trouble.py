"""A database server in trouble while a command works: it is killed, ends its sessions, may be read alone, is locked.

The command goes on by itself, or ends with the right exit code, and once the server is well the same command comes to
the end that an undisturbed one comes to.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from tests.support.faults import LONG, SOAK, Faults
from tests.support.servers import MariaDBServer, PostgreSQLServer, own_server
from tests.support.stages import CASES, Case, Outset
from tests.support.zygote import Zygote

#: How often each command meets each trouble.
ROUNDS = 10 if SOAK else 1
CONNECTION, LOCKED, REFUSED = 5, 6, 13
LOCKED_SECONDS = 3.0
#: An account that a read-only server refuses to write for.
APPLICATION = "application"

pytestmark = LONG

Server = MariaDBServer | PostgreSQLServer


@dataclass(frozen=True)
class Trouble:
    """What befalls a server's database, what makes it well again, and what a command may end with meanwhile."""

    befalls: Callable[[Server, str], None]
    cure: Callable[[Server], None]
    ends: tuple[int, ...]


def end_sessions(server: Server, _: str) -> None:
    """Ends every session, as an administrator does."""
    if isinstance(server, PostgreSQLServer):
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return
    with contextlib.suppress(pymysql.err.OperationalError):  # nobody has one
        server.execute(f"KILL USER {APPLICATION}")


def let_be_read_alone(server: Server, _: str = "", *, alone: bool = True) -> None:
    """Makes it what a primary is that has become a replica."""
    if isinstance(server, MariaDBServer):
        server.execute(f"SET GLOBAL read_only = {alone:d}")
        return
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {alone:d}")
    server.execute("SELECT pg_reload_conf()")
    # It is told in its own time.
    while server.execute("SHOW default_transaction_read_only") != ("on" if alone else "off"):
        time.sleep(0.01)


def lock_tables(_: Server, url: str) -> None:
    """Locks whatever table the application has for a while, one after the other, as a careless script does."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection, contextlib.suppress(sa.exc.DBAPIError):  # of a deadlock it may be the victim
        names = [name for name in sa.inspect(connection).get_table_names() if not name.startswith("chatctl_")]
        for name in names:
            if engine.name == "postgresql":
                connection.exec_driver_sql(f'LOCK TABLE "{name}"')
            else:
                connection.exec_driver_sql(f"SELECT COUNT(*) FROM `{name}` FOR UPDATE").all()
        time.sleep(LOCKED_SECONDS)


TROUBLES = {
    "killed": Trouble(lambda server, _: server.kill(), lambda server: server.start(), (CONNECTION,)),
    "sessions ended": Trouble(end_sessions, lambda _: None, (CONNECTION, LOCKED)),
    "locked": Trouble(lock_tables, lambda _: None, (LOCKED,)),
    "read-only": Trouble(let_be_read_alone, lambda server: let_be_read_alone(server, alone=False), (REFUSED,)),
}


@pytest.fixture(
    scope="module",
    params=[pytest.param("mysql", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with own_server(request.param) as started:
        assert isinstance(started, Server)
        if isinstance(started, MariaDBServer):
            started.execute(f"CREATE USER {APPLICATION} IDENTIFIED BY 'secret'")
            started.execute(f"GRANT ALL ON *.* TO {APPLICATION}")
            started.execute(f"REVOKE READ ONLY ADMIN ON *.* FROM {APPLICATION}")
        yield started


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with server.databases.database() as made:
        if isinstance(server, MariaDBServer):
            made = sa.make_url(made).set(username=APPLICATION, password="secret").render_as_string(hide_password=False)
        yield made


def each() -> list[Any]:
    """Each command in each trouble; a default run has one trouble of each command, in turns."""
    return [
        pytest.param(
            case,
            TROUBLES[name],
            id=f"{case.words.__name__.rstrip('_')}-{name}",
            marks=[] if number % len(TROUBLES) == turn else [pytest.mark.slow],
        )
        for (number, case), (turn, name) in itertools.product(enumerate(CASES), enumerate(TROUBLES))
    ]


@pytest.mark.parametrize(("case", "trouble"), each())
def test_what_a_server_in_trouble_ends_is_finished_by_the_same_command(
    case: Case, trouble: Trouble, server: Server, url: str, zygote: Zygote, tmp_path: Path, faults: Faults
) -> None:
    outset = Outset.of(case, zygote, url, tmp_path / "files")

    def befall(at: str) -> None:
        time.sleep(faults.chance.uniform(0.05, 0.95) * outset.seconds)
        trouble.befalls(server, at)

    for _ in range(ROUNDS):
        with outset.stage.copy() as copy, ThreadPoolExecutor(1) as beside:
            befallen = beside.submit(befall, copy.url)
            try:
                done = outset.run(copy, also=trouble.ends)
            finally:
                befallen.result()
                trouble.cure(server)
            outset.run(copy)
            outset.check(copy, done)
        faults.count(f"troubles of a server: {'ended' if done.exit_code else 'went on'}")
