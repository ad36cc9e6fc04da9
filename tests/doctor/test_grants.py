"""Each command group works with exactly the privileges that `doctor --grants` prints, and with less it doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.support.accounts import account, execute
from tests.support.api import running_api
from tests.support.cli import Completed
from tests.support.legacy import make_legacy
from tests.support.permissions import make_permissions

from chatctl.api.parts import Options
from chatctl.services.doctor.grants import groups

Invoke = Callable[..., Completed]
Work = list[tuple[str, str]]
SERVERS = [pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)]

#: The groups in an order in which each finds what it works on, and what is run as each: the command, and where it
#: isn't 0 the exit code. `{run}` and `{id}` are what an earlier answer named.
WORK = [
    (
        "read",
        """
        migrate status
        migrate plan --no-measure
        migrate check → 7
    """,
    ),
    (
        "migrate",
        """
        migrate plan
        migrate up
        migrate down mentor_0001 --confirm default
        migrate up
    """,
    ),
    ("import", "import more.jsonl"),
    (
        "regroup",
        """
        regroup plan
        regroup run --yes --max-runtime 0s → 12
    """,
    ),
    (
        "runs",
        """
        runs list
        runs show {run}
        runs report {run}
        runs pause {run}
        runs cancel {run}
        runs prune
    """,
    ),
    (
        "regroup",
        """
        regroup run --yes
        regroup verify
        regroup undo --confirm default
        regroup run --yes
        regroup seal --confirm default
    """,
    ),
    (
        "purge",
        """
        purge plan --older-than 1d
        purge run --older-than 1d --archive file --confirm default
        purge restore
        purge hold add --user id-0 --reason case
    """,
    ),
    ("export", "export --entity messages --out rows.jsonl"),
    (
        "backup",
        """
        backup create
        backup list
        backup verify latest
    """,
    ),
    (
        "record",
        """
        record start --lead Ada
        record check → 9
        record sign frontend --by Ada
    """,
    ),
    (
        "users",
        """
        users create jane --password-stdin
        users list
        users token jane
    """,
    ),
    (
        "read",
        """
        regroup plan
        purge plan --older-than 1d
        runs list
    """,
    ),
]

#: What is put back, from a backup and by a rollback: step by step, and by a restore where a step can't be undone.
BACK_WORK = [
    ("backup", "backup create"),
    ("drill", "backup drill latest"),
    ("migrate", "migrate up"),
    ("regroup", "regroup run --yes"),
    (
        "rollback",
        """
        rollback plan
        rollback run --confirm default
    """,
    ),
    ("backup", "backup create"),
    ("migrate", "migrate up"),
    (
        "regroup",
        """
        regroup run --yes
        regroup seal --confirm default
    """,
    ),
    ("rollback", "rollback run --confirm default"),
    ("restore", "backup restore latest --confirm default"),
]

#: The same on a system whose sessions are in Redis, once it is migrated.
SESSION_WORK = [
    (
        "sessions",
        """
        sessions create --user jane
        sessions title {id} --title Panels
        sessions share {id} --with john
        sessions archive --idle 30d
    """,
    ),
    (
        "counters",
        """
        counters check
        counters repair
    """,
    ),
]


@pytest.fixture(params=SERVERS)
def admin_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A legacy mentor database as its administrator sees it, and a file with a row more."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    make_legacy(url, "mentor")
    (tmp_path / "more.jsonl").write_text(
        '{"id": "m-more", "userId": "id-0", "mentorId": "id-0", "role": "user", "content": "x",'
        ' "createdAt": "2026-01-02T00:00:00Z"}\n'
    )
    return url


@pytest.fixture
def as_account(admin_url: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """`as_account("purge")`: from now on commands run as an account with exactly the privileges of that group."""
    monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")
    with ExitStack() as stack:

        def become(group: str, keep: Callable[[str], bool] = lambda statement: True) -> str:
            name, url = stack.enter_context(account(admin_url))
            monkeypatch.setenv("CHATCTL_DATABASE", admin_url)
            answer = invoke("doctor", "--grants", "--group", group, "--account", name, "-o", "json")
            assert answer.exit_code == 0, answer
            (row,) = answer.json["data"]["groups"]
            assert row["statements"], row
            execute(admin_url, [statement for statement in row["statements"] if keep(statement)])
            monkeypatch.setenv("CHATCTL_DATABASE", url)
            return url

        yield become


# PostgreSQL each time, where less can be given by accident; MariaDB with the long tests.
EACH_GROUP = pytest.mark.parametrize(
    "admin_url",
    [pytest.param("mariadb", marks=[pytest.mark.mysql, pytest.mark.slow]), *SERVERS[1:]],
    indirect=True,
)


@EACH_GROUP
def test_each_command_group_works_with_exactly_the_privileges_that_are_printed(
    as_account: Callable[..., str], invoke: Invoke
) -> None:
    work_as(as_account, invoke, WORK)


@pytest.mark.slow
@EACH_GROUP
def test_going_back_works_with_exactly_the_privileges_that_are_printed(
    as_account: Callable[..., str], invoke: Invoke
) -> None:
    work_as(as_account, invoke, BACK_WORK)


@EACH_GROUP
@pytest.mark.redis
def test_sessions_and_counters_work_with_exactly_the_privileges_that_are_printed(
    as_account: Callable[..., str], admin_url: str, invoke: Invoke, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LAYOUT": "simorgh", "REDIS": redis_url, "DATABASE": admin_url}.items():
        monkeypatch.setenv(f"CHATCTL_{name}", value)
    assert invoke("migrate", "up").exit_code == 0

    work_as(as_account, invoke, SESSION_WORK)


@EACH_GROUP
@pytest.mark.redis
def test_serving_works_with_exactly_the_privileges_that_are_printed(
    as_account: Callable[..., str], admin_url: str, invoke: Invoke, redis_url: str, tmp_path: Path
) -> None:
    invoke("migrate", "up", "--database", admin_url)
    url = as_account("serve")

    options = Options(("mentor",), auth=False)
    with running_api(tmp_path, url, redis_url, layout="mentor", options=options, migrated=True) as api:
        web = api.client()
        chat = web.post("/chat/chats", json={"title": "x"}).json()["id"]
        assert web.post(f"/chat/chats/{chat}/messages", json={"role": "user", "content": "x"}).status_code == 201
        assert web.put(f"/chat/chats/{chat}", json={"title": "y"}).json()["title"] == "y"
        assert web.delete(f"/chat/chats/{chat}").status_code == 200


def work_as(as_account: Callable[..., str], invoke: Invoke, work: Work) -> None:
    """Does each group's work as an account with its privileges alone."""
    known: dict[str, str] = {}
    for group, lines in work:
        as_account(group)
        for line in filter(None, map(str.strip, lines.splitlines())):
            call, _, exit_code = line.partition(" → ")
            answer = invoke(*call.format_map(known).split(), "-o", "json", stdin="correct horse battery\n")
            assert answer.exit_code == int(exit_code or 0), f"{group}: {answer}"
            data = answer.json["data"]
            if call == "runs list":
                known["run"] = next(run["run_id"] for run in data["runs"] if run["command"] == "regroup run")
            if call.startswith("sessions create"):
                known["id"] = data["id"]


def test_each_command_that_a_group_names_is_run_as_that_group() -> None:
    run = {
        f"{group}: {line.strip()} "
        for group, lines in (*WORK, *BACK_WORK, *SESSION_WORK)
        for line in lines.splitlines()
    }
    for name, group in groups().items():
        for command in group.commands:
            # The permission database's account and the server's have tests of their own.
            assert name in ("permissions", "serve") or any(call.startswith(f"{name}: {command} ") for call in run), (
                command
            )


def test_the_privileges_of_another_group_are_not_enough(as_account: Callable[..., str], invoke: Invoke) -> None:
    as_account("read")

    assert invoke("migrate", "up").exit_code == 13
    assert invoke("import", "more.jsonl").exit_code == 13


def test_what_an_account_lacks_is_a_finding_with_the_statement_that_gives_it(
    as_account: Callable[..., str], admin_url: str, invoke: Invoke
) -> None:
    as_account("read")
    lacking = invoke("doctor", "--check", "privileges-migrate", "-o", "json")
    assert lacking.exit_code == 9
    assert all(item["fix"].startswith("GRANT") for item in lacking.json["data"]["findings"])

    as_account("migrate")
    enough = invoke("doctor", "--check", "privileges-migrate", "-o", "json")
    assert enough.exit_code == 0, enough


@pytest.mark.mysql
def test_the_permission_databases_account_reads_its_two_tables_and_nothing_else(
    mariadb_url: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_permissions(mariadb_url, [("1", "One")], [("1", "jane")])
    (tmp_path / "own.db").touch()
    monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{tmp_path / 'own.db'}")
    monkeypatch.setenv("CHATCTL_LAYOUT", "simorgh")
    with account(mariadb_url) as (name, url):
        monkeypatch.setenv("CHATCTL_PERMISSIONS_DATABASE", mariadb_url)
        answer = invoke("doctor", "--grants", "--group", "permissions", "--account", name, "-o", "json").json
        (row,) = answer["data"]["groups"]
        assert len(row["statements"]) == 2
        assert all(statement.startswith("GRANT SELECT ON ") for statement in row["statements"])
        execute(mariadb_url, row["statements"])

        monkeypatch.setenv("CHATCTL_PERMISSIONS_DATABASE", url)
        assert invoke("permissions", "check", "jane", "1").exit_code == 0
        assert invoke("permissions", "check", "john", "1").exit_code == 8
        assert invoke("permissions", "list", "--user", "jane").exit_code == 0
        assert invoke("doctor", "--check", "permissions-read-only").exit_code == 0


def test_no_group_of_that_name_is_a_usage_error(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()

    assert invoke("doctor", "--grants", "--group", "all", "--database", "sqlite:///x.db").exit_code == 2


def test_sqlite_has_no_accounts(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    answer: Any = invoke("doctor", "--grants", "--database", "sqlite:///x.db", "-o", "json").json

    assert [warning["code"] for warning in answer["warnings"]] == ["no_accounts"]
