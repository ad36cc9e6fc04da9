"""The tests' own servers: other tests count on what these hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time

import pymysql
import pytest
import redis
import sqlalchemy as sa
from tests.support.sample import REPOSITORY
from tests.support.servers import MariaDBServer, PostgreSQLServer, RedisServer, own_server


@pytest.fixture(
    params=[
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def sql_server(request):
    with own_server(request.param) as server:
        yield server


def run(url: str, *statements: str) -> list[tuple]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            result = connection.execute(sa.text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_test_gets_an_empty_database_on_every_engine(engine_url):
    engine = sa.create_engine(engine_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_committed_rows_survive_a_kill_and_a_restart(sql_server):
    url = sql_server.databases.create_database("survivor")
    run(url, "CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")

    sql_server.kill()
    with pytest.raises(sa.exc.OperationalError):
        run(url, "SELECT 1")
    sql_server.start()
    assert run(url, "SELECT id FROM t") == [(1,)]

    sql_server.restart()
    assert run(url, "SELECT id FROM t") == [(1,)]


def test_a_dropped_database_is_gone_even_while_a_transaction_is_open_in_it(sql_server):
    url = sql_server.databases.create_database("doomed")
    run(url, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    open_transaction = sa.create_engine(url, poolclass=sa.NullPool).connect()
    open_transaction.execute(sa.text("SELECT * FROM t")).all()

    sql_server.databases.drop_database(url)

    open_transaction.invalidate()
    open_transaction.close()
    with pytest.raises(sa.exc.OperationalError, match="doomed"):
        run(url, "SELECT 1")


def test_a_paused_server_keeps_its_connections_and_answers_once_it_goes_on(own_mariadb: MariaDBServer):
    with own_mariadb.connect(read_timeout=1) as patient, own_mariadb.connect(read_timeout=1) as hasty:
        own_mariadb.pause()
        with hasty.cursor() as cursor, pytest.raises(pymysql.OperationalError, match="timed out"):
            cursor.execute("SELECT 1")
        own_mariadb.resume()
        with patient.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)


def test_redis_keeps_what_it_answered_through_a_kill(own_redis: RedisServer):
    with own_redis.connect() as client:
        client.set("counter", 41)
        client.incr("counter")
    own_redis.kill()
    own_redis.start()
    with redis.Redis.from_url(own_redis.socket_url) as client:
        assert client.get("counter") == b"42"


def test_redis_is_empty_for_each_test(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.info("keyspace") == {}
        client.set("left behind", 1)


test_redis_is_empty_again_for_the_next_test = test_redis_is_empty_for_each_test


@pytest.mark.mysql
def test_mariadb_logs_its_statements_when_asked():
    with own_server("mysql", {"general-log": "1"}) as server:
        assert isinstance(server, MariaDBServer)
        run(server.url, "SELECT 'a statement to find'")
        assert "a statement to find" in server.general_log.read_text()


@pytest.mark.postgresql
def test_postgresql_logs_its_statements_when_asked():
    with own_server("postgresql", {"log_statement": "all"}) as server:
        assert isinstance(server, PostgreSQLServer)
        run(server.url, "SELECT 'a statement to find'")
        assert "a statement to find" in server.log.read_text()


@pytest.mark.redis
def test_a_closed_server_leaves_neither_a_process_nor_a_folder():
    with own_server("redis") as server:
        pid, folder = server.pid, server.folder
        assert is_alive(pid)
    assert not is_alive(pid)
    assert not folder.exists()


@pytest.mark.redis
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) isn't on this machine")
def test_a_killed_test_run_leaves_no_server_behind(tmp_path):
    script = textwrap.dedent("""
        import time
        from tests.support.servers import RedisServer
        server = RedisServer()
        print(server.pid, server.folder, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        pid = int(process.stdout.readline().split()[0])
        assert is_alive(pid)
        process.kill()
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_a_missing_server_skips_and_a_required_one_fails(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("tests.support.servers._unavailable", {"mysql": "mariadbd isn't installed"})
    monkeypatch.setattr("tests.support.servers.REQUIRED", frozenset())
    with pytest.raises(pytest.skip.Exception, match="mariadbd isn't installed"), own_server("mysql"):
        pass
    monkeypatch.setattr("tests.support.servers.REQUIRED", frozenset({"mysql", "redis"}))
    with pytest.raises(pytest.fail.Exception, match="CHATCTL_TEST_REQUIRE names mysql"), own_server("mysql"):
        pass
