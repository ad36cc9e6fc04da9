"""Each command group works with exactly the privileges that `doctor --grants` prints, and with less it doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.support.accounts import account, execute
from tests.support.cli import Completed
from tests.support.legacy import make_legacy
from tests.support.permissions import make_permissions

Invoke = Callable[..., Completed]
SERVERS = [pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)]

#: The groups in an order in which each finds what it works on, and what is run as each. `chatctl` may go on after
#: `migrate` alone has changed the schema.
WORK: dict[str, list[tuple[tuple[str, ...], int]]] = {
    "read": [(("migrate", "status"), 0), (("migrate", "plan", "--no-measure"), 0), (("migrate", "check"), 7)],
    "migrate": [
        (("migrate", "plan"), 0), (("migrate", "up"), 0),
        (("migrate", "down", "mentor_0001", "--confirm", "default"), 0), (("migrate", "up"), 0),
    ],
    "import": [(("import", "more.jsonl"), 0)],
    "regroup": [(("regroup", "plan"), 0), (("regroup", "run", "--yes"), 0), (("regroup", "verify"), 0)],
    "purge": [
        (("purge", "plan", "--older-than", "1d"), 0),
        (("purge", "run", "--older-than", "1d", "--archive", "file", "--confirm", "default"), 0),
        (("purge", "restore"), 0),
    ],
    "export": [(("export", "--entity", "messages", "--out", "rows.jsonl"), 0)],
    "backup": [(("backup", "create"), 0)],
    "runs": [(("runs", "list"), 0)],
}  # fmt: skip


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
@pytest.mark.parametrize(
    "admin_url",
    [pytest.param("mariadb", marks=[pytest.mark.mysql, pytest.mark.slow]), *SERVERS[1:]],
    indirect=True,
)
def test_each_command_group_works_with_exactly_the_privileges_that_are_printed(
    as_account: Callable[..., str], invoke: Invoke
) -> None:
    for group, commands in WORK.items():
        as_account(group)
        for arguments, exit_code in commands:
            answer = invoke(*arguments, "-o", "json") if arguments[0] != "export" else invoke(*arguments)
            assert answer.exit_code == exit_code, (group, answer)


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
        assert invoke("doctor", "--check", "permissions-read-only").exit_code == 0


def test_no_group_of_that_name_is_a_usage_error(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()

    assert invoke("doctor", "--grants", "--group", "all", "--database", "sqlite:///x.db").exit_code == 2


def test_sqlite_has_no_accounts(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    answer: Any = invoke("doctor", "--grants", "--database", "sqlite:///x.db", "-o", "json").json

    assert [warning["code"] for warning in answer["warnings"]] == ["no_accounts"]
