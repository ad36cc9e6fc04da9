"""The fixtures that every test may use: databases on each engine, servers to kill, the command line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from filelock import FileLock
from hypothesis import HealthCheck, settings
from tests.support.cli import Cli, Completed, clean_environment, run_in_process
from tests.support.databases import Databases
from tests.support.memory import folder_in_memory
from tests.support.sample import sample_messages
from tests.support.servers import (
    MariaDBServer,
    PostgreSQLServer,
    RedisServer,
    given_url,
    own_server,
    shared_url,
)

pytest_plugins = ("tests.support.faults", "tests.support.golden")


def pytest_configure() -> None:
    """Keeps what the tests write in memory where there is room: servers that wait for a disk take thirty times as long.

    What a killed process wrote is there as on a disk; only a machine that loses power would tell the difference.
    """
    if "TMPDIR" not in os.environ and (folder := folder_in_memory()):
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = None  # pytest has asked already
    # How long an example takes says more about the machine's other work than about the example.
    settings.register_profile("chatctl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("chatctl")


#: A fixture's name → the mark of a test that uses it.
_MARK_OF_FIXTURE = {
    "mariadb_url": "mysql",
    "own_mariadb": "mysql",
    "postgresql_url": "postgresql",
    "own_postgresql": "postgresql",
    "redis_url": "redis",
    "own_redis": "redis",
}

ENGINES = [
    "sqlite",
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]
if given_url("mysql8"):
    ENGINES.append(pytest.param("mysql8", marks=pytest.mark.mysql))


#: The tests that took long when the whole run was measured: scripts/long_tests.py writes the list.
_LONG = frozenset((Path(__file__).parent / "long.txt").read_text(encoding="utf-8").splitlines()[1:])


#: Those of them that a whole run doesn't have (tests/architecture/test_long_list.py).
LONG_AND_GONE = pytest.StashKey[frozenset[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks each test with the servers that its fixtures need, so that `-m 'not mysql'` leaves all of them out.

    Long ones are marked as slow.
    """
    if config.args == config.getini("testpaths"):
        config.stash[LONG_AND_GONE] = _LONG - {item.nodeid for item in items}
    for item in items:
        if item.nodeid in _LONG:
            item.add_marker(pytest.mark.slow)
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _MARK_OF_FIXTURE:
                item.add_marker(_MARK_OF_FIXTURE[fixture])


# --- databases ----------------------------------------------------------------------------------------------


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each engine in turn; `parametrize("engine_name", ["mariadb"], indirect=True)` narrows the choice."""
    name: str = request.param
    return name


@pytest.fixture
def engine_url(engine_name: str, request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, empty database on each engine in turn."""
    url: str = request.getfixturevalue(f"{engine_name}_url")
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that doesn't exist yet."""
    return f"sqlite:///{tmp_path / 'chat.db'}"


@pytest.fixture(scope="session")
def mariadb_databases() -> Iterator[Databases]:
    """Makes databases on the session's MariaDB server."""
    with shared_url("mysql") as url:
        yield Databases(url)


@pytest.fixture(scope="session")
def postgresql_databases() -> Iterator[Databases]:
    """Makes databases on the session's PostgreSQL server."""
    with shared_url("postgresql") as url:
        yield Databases(url)


@pytest.fixture
def mariadb_url(mariadb_databases: Databases) -> Iterator[str]:
    """The URL of a fresh, empty MariaDB database."""
    with mariadb_databases.database() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_databases: Databases) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    with postgresql_databases.database() as url:
        yield url


@pytest.fixture
def mysql8_url() -> Iterator[str]:
    """The URL of a fresh, empty database on the server that CHATCTL_TEST_MYSQL8_URL names."""
    given = given_url("mysql8")
    if given is None:
        pytest.skip("CHATCTL_TEST_MYSQL8_URL names no server")
    with Databases(given).database() as url:
        yield url


# --- Redis --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_redis_url() -> Iterator[str]:
    """The URL of the session's Redis server; one that a variable names must be empty."""
    with shared_url("redis") as url:
        yield url


@pytest.fixture
def redis_url(shared_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty Redis server; all of its databases are emptied again afterwards.

    A server that a variable names is shared by all workers, so they take turns.
    """
    lock = FileLock(tmp_path_factory.getbasetemp().parent / "redis.lock")
    with redis.Redis.from_url(shared_redis_url) as client:
        if given_url("redis") is None:
            yield shared_redis_url
            client.flushall()
            return
        with lock:
            if client.info("keyspace"):
                pytest.fail("The server of CHATCTL_TEST_REDIS_URL holds keys, and the tests would delete them.")
            yield shared_redis_url
            client.flushall()


# --- servers that a test may kill, pause or configure -------------------------------------------------------


@pytest.fixture
def own_mariadb() -> Iterator[MariaDBServer]:
    """A MariaDB server for this test alone."""
    with own_server("mysql") as server:
        assert isinstance(server, MariaDBServer)
        yield server


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQLServer]:
    """A PostgreSQL server for this test alone."""
    with own_server("postgresql") as server:
        assert isinstance(server, PostgreSQLServer)
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis server for this test alone."""
    with own_server("redis") as server:
        assert isinstance(server, RedisServer)
        yield server


# --- the command line ---------------------------------------------------------------------------------------


@pytest.fixture
def run_cli(tmp_path: Path) -> Cli:
    """`run_cli("migrate", "status")` runs the real program in a process of its own, in `tmp_path`."""
    return Cli(tmp_path)


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Completed]:
    """`invoke("migrate", "status")` runs the same command in this process, which is faster."""
    environment = clean_environment(tmp_path)
    for name in os.environ:
        if name not in environment:
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str | Path, stdin: str | bytes = b"") -> Completed:
        return run_in_process([str(argument) for argument in arguments], stdin)

    return invoke


@pytest.fixture
def sample() -> Path:
    """The gzipped JSON lines of the sample of real messages."""
    return sample_messages()
