"""Every check of the doctor fails where something is wrong, and passes where it isn't, on real servers.

`failing` and `passing` hold one test for each check; the last test holds both against the list of checks.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.doctor.conftest import Doctor
from tests.support.accounts import account, execute
from tests.support.cli import Completed
from tests.support.permissions import make_permissions
from tests.support.processes import ServerUnavailableError
from tests.support.replicas import PostgreSQLPrimary, PostgreSQLReplica
from tests.support.servers import MariaDBServer, RedisServer, without

from chatctl.services.doctor.checking import CHECKS

Invoke = Callable[..., Completed]
TESTED: dict[str, set[str]] = {"finding": set(), "ok": set()}


def expect(doctor: Doctor, name: str, state: str) -> None:
    """Fails unless the check called `name` comes out as `state`."""
    assert doctor.state(name) == state, doctor.detail


def both(*names: str) -> pytest.MarkDecorator:
    """Marks a test that makes the checks `names` fail and pass."""
    for state in TESTED.values():
        state.update(names)
    return pytest.mark.filterwarnings("error")


def url_of(server: MariaDBServer, database: str, **parts: object) -> str:
    url = sa.make_url(server.url).set(database=database, **parts)  # type: ignore[arg-type]
    return url.render_as_string(hide_password=False)


@pytest.fixture
def legacy(doctor: Doctor, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """A made-up legacy database in the doctor's file."""
    for name, value in doctor.variables.items():
        monkeypatch.setenv(name, value)
    answer = invoke("demo", "create", "--messages", "60")
    assert answer.exit_code == 0, answer
    return doctor


# --- the machine --------------------------------------------------------------------------------------------


@both("python-version", "node-version", "docker")
@pytest.mark.parametrize(
    ("check", "key"), [("python-version", "python"), ("node-version", "node"), ("docker", "docker")]
)
def test_a_program_that_is_too_old_or_missing(doctor: Doctor, check: str, key: str) -> None:
    doctor.program(key, "v18.19.0")

    doctor.layout("mentor", **{key: "99"})
    expect(doctor, check, "finding")
    doctor.layout("mentor", **{key: "3.11" if key == "python" else "18"})
    expect(doctor, check, "ok")

    if key != "python":
        (doctor.folder / "bin" / key).unlink()
        expect(doctor, check, "finding")
        doctor.layout("mentor", **{key: "optional"})
        expect(doctor, check, "ok")


@both("dump-programs")
@pytest.mark.mysql
def test_dump_programs(doctor: Doctor, mariadb_url: str) -> None:
    doctor.set(database=mariadb_url)
    doctor.program("mariadb-dump", None)
    expect(doctor, "dump-programs", "finding")
    doctor.program("mariadb-dump", "10.11")
    expect(doctor, "dump-programs", "ok")


@both("disk-space")
def test_disk_space(doctor: Doctor) -> None:
    doctor.limits = {"free_bytes": 10**18}
    expect(doctor, "disk-space", "finding")
    doctor.limits = {"free_bytes": 1}
    expect(doctor, "disk-space", "ok")


# --- the database -------------------------------------------------------------------------------------------


@both("database-reachable", "database-version")
@pytest.mark.parametrize(
    "kind", [pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_a_server_that_answers_and_is_new_enough(doctor: Doctor, kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    doctor.set(database=url)
    expect(doctor, "database-reachable", "ok")
    expect(doctor, "database-version", "ok")
    doctor.layout("mentor", **{kind: "99.1"})
    expect(doctor, "database-version", "finding")

    doctor.set(database=sa.make_url(url).set(port=1).render_as_string(hide_password=False))
    expect(doctor, "database-reachable", "finding")


def test_a_database_file_that_isnt_there(doctor: Doctor) -> None:
    (doctor.folder / "chat.db").unlink()

    expect(doctor, "database-reachable", "finding")


@both("database-writable")
@pytest.mark.postgresql
def test_a_read_only_database(doctor: Doctor, postgresql_url: str) -> None:
    doctor.set(database=postgresql_url)
    expect(doctor, "database-writable", "ok")
    name = sa.make_url(postgresql_url).database
    execute(postgresql_url, [f"ALTER DATABASE {name} SET default_transaction_read_only = on"])
    expect(doctor, "database-writable", "finding")


@both("database-clock", "database-tls", "replica-lag")
@pytest.mark.mysql
def test_a_server_whose_clock_is_wrong_that_is_read_only_unencrypted_or_behind(
    doctor: Doctor, mariadb: MariaDBServer, replica: MariaDBServer, address: str, certificate: tuple[Path, Path]
) -> None:
    admin = mariadb.databases.create_database("doctor")
    with account(admin) as (name, url):
        execute(admin, [f"GRANT SELECT ON doctor.* TO '{name}'@'%'"])
        doctor.set(database=url)
        expect(doctor, "database-clock", "ok")
        # Whoever may do everything is not subject to it, so that the administrator's clock goes right.
        execute(admin, ["SET GLOBAL init_connect = 'SET SESSION timestamp = UNIX_TIMESTAMP() - 60'"])
        expect(doctor, "database-clock", "finding")
        execute(admin, ["SET GLOBAL init_connect = ''"])

        expect(doctor, "database-tls", "skipped")
        doctor.set(database=url.replace("127.0.0.1", address) + "?ssl_disabled=true")
        expect(doctor, "database-tls", "finding")
        doctor.set(database=url.replace("127.0.0.1", address) + f"?ssl_ca={certificate[1]}&ssl_check_hostname=false")
        expect(doctor, "database-tls", "ok")

        doctor.set(database=admin)
        execute(admin, ["SET GLOBAL read_only = 1"])
        expect(doctor, "database-writable", "finding")
        execute(admin, ["SET GLOBAL read_only = 0"])
        expect(doctor, "database-writable", "ok")

    doctor.replica = mariadb.url
    expect(doctor, "replica-lag", "finding")
    doctor.replica = replica.url
    wait_for(lambda: doctor.state("replica-lag") == "ok")
    with closing(replica.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("STOP SLAVE")
        expect(doctor, "replica-lag", "finding")
        cursor.execute("START SLAVE")


@pytest.mark.slow  # two servers of its own; what the checks ask MariaDB is asked each time
@pytest.mark.postgresql
def test_a_postgresql_server_that_is_unencrypted_or_not_followed(
    doctor: Doctor, address: str, certificate: tuple[Path, Path]
) -> None:
    try:
        primary = EncryptedPrimary(certificate)
    except ServerUnavailableError as problem:
        without("postgresql", str(problem))
    with primary:
        url = sa.make_url(primary.url).set(host=address)
        doctor.set(database=url.update_query_dict({"sslmode": "disable"}).render_as_string(hide_password=False))
        expect(doctor, "database-tls", "finding")
        doctor.set(database=url.update_query_dict({"sslmode": "require"}).render_as_string(hide_password=False))
        expect(doctor, "database-tls", "ok")
        expect(doctor, "database-clock", "ok")

        doctor.replica = primary.url
        expect(doctor, "replica-lag", "finding")
        with PostgreSQLReplica(primary) as replica:
            doctor.replica = replica.url
            wait_for(lambda: doctor.state("replica-lag") == "ok")
            doctor.set(database=replica.url)
            expect(doctor, "database-writable", "finding")
            replica.hold()
            execute(primary.url, ["CREATE TABLE later (id integer)"])
            doctor.limits = {"lag_seconds": 0.5}
            wait_for(lambda: doctor.state("replica-lag") == "finding")
            replica.release()
            wait_for(lambda: doctor.state("replica-lag") == "ok")
            primary.kill()
            wait_for(lambda: doctor.state("replica-lag") == "finding")
            assert "receives nothing" in doctor.detail


class EncryptedPrimary(PostgreSQLPrimary):
    """A primary that speaks TLS and answers on every address."""

    def __init__(self, certificate: tuple[Path, Path]) -> None:
        self._certificate = certificate
        super().__init__({"listen_addresses": "*", "ssl": "on"})

    def _prepare(self) -> None:
        super()._prepare()
        for name, file in zip(("server.key", "server.crt"), self._certificate, strict=True):
            shutil.copy(file, self.data / name)
            (self.data / name).chmod(0o600)
            self._own(self.data / name)
        access = "local all all scram-sha-256\nhost all,replication all all scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(access)


@both("privileges-migrate", "privileges-regroup", "privileges-purge", "privileges-backup", "privileges-counters")
@pytest.mark.parametrize(
    "kind", [pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_privileges(doctor: Doctor, kind: str, request: pytest.FixtureRequest) -> None:
    admin: str = request.getfixturevalue(f"{kind}_url")
    create = "CREATE TABLE messages (id VARCHAR(64) PRIMARY KEY)"
    execute(admin, [create, create.replace("messages", "chats"), create.replace("messages", "sessions_archive")])
    with account(admin) as (name, url):
        who = f'"{name}"' if kind == "postgresql" else f"'{name}'@'%'"
        # An account sees the tables only of which it may do something.
        execute(admin, [f"GRANT SELECT ON {table} TO {who}" for table in ("messages", "chats", "sessions_archive")])
        for group in ("migrate", "regroup", "purge", "backup", "counters"):
            doctor.set(layout="native" if group == "counters" else "mentor")
            doctor.set(database=url)
            expect(doctor, f"privileges-{group}", "finding")
            doctor.set(database=admin)
            expect(doctor, f"privileges-{group}", "ok")


# --- the schema ---------------------------------------------------------------------------------------------


@both("revision-chain")
def test_a_chain_of_revisions_that_is_broken(doctor: Doctor) -> None:
    versions = doctor.folder / "project/versions"
    versions.mkdir(parents=True)
    (versions / "a.py").write_text("revision = 'a'\ndown_revision = None\n")
    (versions / "b.py").write_text("revision = 'b'\ndown_revision = 'gone'\n")
    doctor.set(migrations_script_location=str(doctor.folder / "project"))
    expect(doctor, "revision-chain", "finding")
    (versions / "b.py").write_text("revision = 'b'\ndown_revision = 'a'\n")
    expect(doctor, "revision-chain", "ok")


@both("schema-state", "schema-drift", "migrations-pending", "unfinished-runs")
def test_a_schema_that_is_not_as_it_should_be(legacy: Doctor, invoke: Invoke) -> None:
    expect(legacy, "schema-state", "ok")
    expect(legacy, "migrations-pending", "finding")
    assert invoke("migrate", "up").exit_code == 0
    expect(legacy, "migrations-pending", "ok")
    expect(legacy, "schema-drift", "ok")
    expect(legacy, "unfinished-runs", "ok")

    with closing(sqlite3.connect(legacy.folder / "chat.db")) as connection:
        connection.execute("ALTER TABLE chats ADD COLUMN by_hand TEXT")
        connection.execute("UPDATE chatctl_runs SET status = 'failed'")
        connection.commit()
        expect(legacy, "schema-drift", "finding")
        expect(legacy, "unfinished-runs", "finding")
        connection.execute("DROP TABLE chatctl_version")
        connection.execute("DROP TABLE users")
        connection.commit()
    expect(legacy, "schema-state", "finding")


# --- Redis --------------------------------------------------------------------------------------------------


@both("redis-reachable", "redis-version", "redis-eviction", "redis-persistence", "redis-clock", "redis-tls")
@pytest.mark.redis
def test_a_redis_that_loses_what_it_is_given(
    doctor: Doctor, redis_by_tls: tuple[RedisServer, int], address: str
) -> None:
    server, tls_port = redis_by_tls
    doctor.layout("simorgh", redis="6.0")
    expect(doctor, "redis-reachable", "finding")
    doctor.set(redis=server.url.replace(str(server.port), "1"))
    expect(doctor, "redis-reachable", "finding")
    doctor.set(redis=server.url)
    for name in ("reachable", "version", "eviction", "persistence", "clock"):
        expect(doctor, f"redis-{name}", "ok")
    expect(doctor, "redis-tls", "skipped")

    client = server.connect()
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("appendonly", "no")
    client.config_set("save", "")
    client.close()
    expect(doctor, "redis-eviction", "finding")
    expect(doctor, "redis-persistence", "finding")
    doctor.layout("simorgh", redis="99")
    expect(doctor, "redis-version", "finding")
    # No two clocks are the same to the microsecond.
    doctor.limits = {"clock_seconds": 0}
    expect(doctor, "redis-clock", "finding")

    doctor.set(redis=f"redis://{address}:{server.port}/0")
    expect(doctor, "redis-tls", "finding")
    doctor.set(redis=f"rediss://{address}:{tls_port}/0?ssl_cert_reqs=none")
    expect(doctor, "redis-tls", "ok")


# --- backups and purges -------------------------------------------------------------------------------------


@both("backup-fresh", "backup-drilled")
def test_backups_that_are_missing_old_or_were_never_tried(legacy: Doctor, invoke: Invoke) -> None:
    expect(legacy, "backup-fresh", "finding")
    assert invoke("backup", "create").exit_code == 0
    expect(legacy, "backup-fresh", "ok")
    expect(legacy, "backup-drilled", "finding")
    assert invoke("backup", "drill", "latest").exit_code == 0
    expect(legacy, "backup-drilled", "ok")

    legacy.limits = {"backup_age": timedelta(0), "drill_age": timedelta(0)}
    expect(legacy, "backup-fresh", "finding")
    expect(legacy, "backup-drilled", "finding")


@both("purge-policy", "purge-scheduled", "purge-last-run")
def test_a_purge_that_nobody_configured_calls_or_looks_at(
    doctor: Doctor, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor.set(layout="worker")
    for name in ("policy", "scheduled", "last-run"):
        expect(doctor, f"purge-{name}", "finding")

    doctor.set(purge_retention_days="30")
    for name, value in doctor.variables.items():
        monkeypatch.setenv(name, value)
    assert invoke("migrate", "up").exit_code == 0
    assert invoke("purge").exit_code == 0
    units = Path(doctor.folder / "home/.config/systemd/user")
    units.mkdir(parents=True)
    (units / "purge.service").write_text("[Service]\nExecStart=/usr/bin/python3 -m chatctl --no-input purge\n")
    for name in ("policy", "scheduled", "last-run"):
        expect(doctor, f"purge-{name}", "ok")

    doctor.limits = {"purge_age": timedelta(0)}
    expect(doctor, "purge-last-run", "finding")
    doctor.set(protected="true")
    expect(doctor, "purge-policy", "finding")
    (units / "purge.service").write_text("[Service]\n# ExecStart=chatctl purge\n")
    expect(doctor, "purge-scheduled", "finding")


# --- what is outside ----------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[int]:
    """A port on which something answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@both("services-configured", "services-reachable", "environment-file")
def test_services_that_are_configured_by_half_or_cant_be_reached(doctor: Doctor, listening: int) -> None:
    doctor.set(layout="toolboxai")
    env = doctor.folder / ".env"
    env.write_text(f"PUSHER_APP_ID=1\nPUSHER_KEY=k\nROJO_HOST=127.0.0.1\nROJO_PORT={listening}\nJWT_SECRET_KEY=short\n")
    env.chmod(0o600)
    expect(doctor, "services-configured", "finding")
    expect(doctor, "services-reachable", "ok")
    expect(doctor, "environment-file", "finding")

    env.write_text(env.read_text() + f"PUSHER_SECRET=s\nPUSHER_SCHEME=http\nPUSHER_HOST=127.0.0.1:{listening}\n")
    expect(doctor, "services-configured", "ok")
    expect(doctor, "services-reachable", "ok")
    env.write_text(env.read_text().replace(f"ROJO_PORT={listening}", "ROJO_PORT=1"))
    expect(doctor, "services-reachable", "finding")
    env.write_text(env.read_text() + "ROJO_ENABLED=false\n")
    expect(doctor, "services-reachable", "ok")

    env.write_text(
        "DATABASE_URL=sqlite:///x.db\nREDIS_URL=redis://h\nJWT_SECRET_KEY=kZ3v9QyW1xT7bN5mR8sL2pD6fG4hJ0aC\n"
        "PUSHER_ENABLED=false\nROJO_ENABLED=false\n"
    )
    expect(doctor, "environment-file", "ok")


@both("permissions-reachable", "permissions-read-only")
@pytest.mark.mysql
def test_a_permission_database_that_is_away_or_can_be_written(doctor: Doctor, mariadb_url: str) -> None:
    doctor.set(layout="simorgh")
    expect(doctor, "permissions-reachable", "skipped")
    doctor.set(permissions_database=sa.make_url(mariadb_url).set(port=1).render_as_string(hide_password=False))
    expect(doctor, "permissions-reachable", "finding")

    make_permissions(mariadb_url, [("1", "One")], [("1", "u")])
    doctor.set(permissions_database=mariadb_url)
    expect(doctor, "permissions-reachable", "ok")
    expect(doctor, "permissions-read-only", "finding")
    with account(mariadb_url) as (name, url):
        database = sa.make_url(mariadb_url).database
        execute(mariadb_url, [f"GRANT SELECT ON `{database}`.* TO '{name}'@'%'"])
        doctor.set(permissions_database=url)
        expect(doctor, "permissions-read-only", "ok")


# --- the command --------------------------------------------------------------------------------------------


def test_every_check_has_been_made_to_fail_and_to_pass() -> None:
    names = {check.name for check in CHECKS}

    assert {"finding": names, "ok": names} == TESTED


def test_every_check_has_a_reason() -> None:
    assert all(check.reason.endswith(".") and len(check.reason) > 20 for check in CHECKS)


def test_the_command_lists_its_checks_makes_some_and_exits_9(legacy: Doctor, invoke: Invoke) -> None:
    listed = invoke("doctor", "--list-checks", "-o", "json").json["data"]["checks"]
    assert [check["name"] for check in listed] == [check.name for check in CHECKS]

    found = invoke("doctor", "--for", "regroup", "-o", "json")
    assert found.exit_code == 9
    made = {check["name"]: check["state"] for check in found.json["data"]["checks"]}
    assert made["migrations-pending"] == "finding"
    assert "backup-drilled" not in made

    assert invoke("doctor", "--check", "database-reachable", "-o", "json").exit_code == 0
    assert invoke("doctor", "--check", "nonsense").exit_code == 2
    assert invoke("doctor", "--for", "nonsense").exit_code == 2


def test_what_needs_an_answer_isnt_tried_without_one(
    doctor: Doctor, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATCTL_DATABASE", "postgresql://nobody:secret-word@127.0.0.1:1/x")

    answer = invoke("doctor", "-o", "json")

    assert answer.exit_code == 9
    states = {check["name"]: check["state"] for check in answer.json["data"]["checks"]}
    assert states["database-reachable"] == "finding"
    assert states["schema-state"] == states["database-clock"] == "skipped"
    assert "secret-word" not in answer.stdout + answer.stderr


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't become true"
        time.sleep(0.1)
