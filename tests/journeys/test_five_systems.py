"""Each guide's system, made by hand in its old shape on its own kind of store, is carried over by the CLI alone.

Then the API serves it, the guide's own steps are run against it, and a rollback brings the old shape back: the same
schema, and every row that was there before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import handmade
from tests.support.backups import Site, make_site
from tests.support.cli import Cli, Completed
from tests.support.permissions import make_permissions

from chatctl.stores.sql.database import Database

PROJECT = "AB-12"


@dataclass(frozen=True)
class System:
    """A system's own kind of store, whether its messages are regrouped, and who asks in the smoke run."""

    layout: str
    engine: str
    regrouped: bool = False
    user: str = "jane"
    smoke: tuple[str, ...] = ()


SYSTEMS = [
    System("mentor", "postgresql", regrouped=True, user="u1", smoke=("--mentor", "m1")),
    System("ray", "mariadb", regrouped=True, user="550e8400-e29b-41d4-a716-446655440001"),
    System("toolboxai", "postgresql", user="11111111-1111-4111-8111-111111111111"),
    System("simorgh", "mariadb", smoke=("--project", PROJECT)),
    System("worker", "sqlite"),
]

Chatctl = Callable[..., Completed]


MARKS = {"mariadb": [pytest.mark.mysql], "postgresql": [pytest.mark.postgresql], "sqlite": []}


@pytest.fixture(params=[pytest.param(system, id=system.layout, marks=MARKS[system.engine]) for system in SYSTEMS])
def system(request: pytest.FixtureRequest) -> System:
    found: System = request.param
    return found


@pytest.fixture
def site(
    system: System,
    invoke: Chatctl,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    redis_url: str,
    request: pytest.FixtureRequest,
) -> Site:
    """The system as its own hands made it, and a Redis."""
    url: str = request.getfixturevalue(f"{system.engine}_url")
    if system.engine != "sqlite":
        database = Database(url)
        handmade.make_legacy(database, system.layout)
        database.close()
    if system.layout == "simorgh":
        permissions: str = request.getfixturevalue("permissions_url")
        monkeypatch.setenv("CHATCTL_PERMISSIONS_DATABASE", permissions)
    return make_site(invoke, monkeypatch, tmp_path, url, system.layout, redis_url)


@pytest.fixture
def permissions_url(tmp_path: Path) -> str:
    """Projects and who may enter them."""
    url = f"sqlite:///{tmp_path / 'tpms.db'}"
    make_permissions(url, [(PROJECT, "Bridge")], [(PROJECT, "jane")])
    return url


@contextmanager
def served(run_cli: Cli, system: System, environment: dict[str, str]) -> Iterator[str]:
    """The base URL of `chatctl serve` as a process of its own."""
    with run_cli.start("serve", "--system", system.layout, "--port", "0", env=environment) as process:
        try:
            assert process.stderr is not None
            found = (re.search(rb"http://127\.0\.0\.1:\d+", line) for line in process.stderr)
            yield next(match[0].decode() for match in found if match)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def wrong(smoke: Completed) -> list[dict[str, str]]:
    """The steps that went wrong; how long one took says more of this machine than of chatctl."""
    checks = smoke.json["data"]["checks"]
    assert checks
    return [check for check in checks if not check["ok"] and "ms, more" not in str(check["reason"])]


def test_a_system_is_carried_over_served_and_brought_back(
    site: Site, system: System, run_cli: Cli, redis_url: str, tmp_path: Path
) -> None:
    before, schema = site.rows(), site.schema()

    def chatctl(*words: str, expected: int = 0) -> Completed:
        done = site.invoke(*words, "--output", "json")
        assert done.exit_code == expected, done
        return done

    state = chatctl("migrate", "status").json["data"]["state"]
    assert state == "before"
    chatctl("migrate", "adopt")
    chatctl("backup", "create", "--drill")
    chatctl("migrate", "--yes")
    if system.regrouped:
        chatctl("regroup", "run")
        chatctl("regroup", "verify")
    chatctl("migrate", "check")

    token = tmp_path / "token"
    chatctl("users", "create", "jane", "--email", "jane@example.org", "--id", system.user)
    token.write_text(json.loads(chatctl("users", "token", "jane").stdout)["data"]["token"])
    with served(run_cli, system, environment_of(site, system, redis_url)) as base_url:
        asked = ("--base-url", base_url, "--system", system.layout, "--token-file", str(token), *system.smoke)
        assert wrong(site.invoke("smoke", *asked, "--output", "json")) == []

    chatctl("rollback", "plan")
    chatctl("rollback", "run", "--confirm", "default")
    assert site.schema() == schema
    after = site.rows()
    assert {name: [row for row in rows if row not in after[name]] for name, rows in before.items()} == {
        name: [] for name in before
    }
    assert chatctl("migrate", "status").json["data"]["state"] == "before"


def environment_of(site: Site, system: System, redis_url: str) -> dict[str, str]:
    """What `chatctl serve` is told, as a process of its own."""
    told = {"CHATCTL_DATABASE": site.url, "CHATCTL_LAYOUT": system.layout, "CHATCTL_REDIS": redis_url}
    if system.layout == "simorgh":
        told["CHATCTL_PERMISSIONS_DATABASE"] = f"sqlite:///{site.store.parent / 'tpms.db'}"
    return told
