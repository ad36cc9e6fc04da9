"""What a server's own log says that a migration sent is what its plan showed, statement for statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Completed
from tests.support.databases import Databases
from tests.support.legacy import make_legacy, put_every_message_into_a_chat
from tests.support.servers import MariaDBServer, PostgreSQLServer, own_server
from tests.support.statement_logs import (
    TRACE_VARIABLE,
    MariaDBStatements,
    PostgreSQLStatements,
    SQLiteStatements,
    StatementsSent,
    differs,
)
from tests.support.zygote import Zygote

from chatctl.layouts import builtin_names
from chatctl.stores.sql.database import Database

Migrate = Callable[..., Completed]


@pytest.fixture(scope="module")
def mariadb() -> Iterator[tuple[str, StatementsSent]]:
    with own_server("mysql", MariaDBStatements.SETTINGS) as server:
        assert isinstance(server, MariaDBServer)
        yield server.url, MariaDBStatements(server)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[tuple[str, StatementsSent]]:
    with own_server("postgresql", PostgreSQLStatements.SETTINGS) as server:
        assert isinstance(server, PostgreSQLServer)
        yield server.url, PostgreSQLStatements(server)


@pytest.fixture
def logged(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, StatementsSent]]:
    """An empty database on each engine in turn, and what it is sent."""
    if engine_name == "sqlite":
        trace = tmp_path / "trace"
        trace.touch()
        yield f"sqlite:///{tmp_path / 'chat.db'}", SQLiteStatements(trace)
        return
    server, sent = request.getfixturevalue(engine_name)
    with Databases(server).database() as url:
        yield url, sent


@pytest.fixture
def migrate(logged: tuple[str, StatementsSent], layout: str, zygote: Zygote, tmp_path: Path) -> Migrate:
    url, sent = logged
    make_legacy(url, layout)
    env = {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": layout, TRACE_VARIABLE: str(tmp_path / "trace")}
    sabotage = "with_trace" if isinstance(sent, SQLiteStatements) else None

    def run(*arguments: str) -> Completed:
        done = zygote("--output", "json", "migrate", *arguments, env=env, sabotage=sabotage)
        assert done.exit_code == 0, done
        return done

    return run


@pytest.mark.parametrize(
    "layout", [name if name == "mentor" else pytest.param(name, marks=pytest.mark.slow) for name in builtin_names()]
)
def test_the_log_equals_the_plan_on_the_way_there_and_back(
    logged: tuple[str, StatementsSent], layout: str, migrate: Migrate
) -> None:
    url, sent = logged
    confirmed = ("--confirm", "default")
    ways = [(("plan",), ("up",)), (("plan", "--down", f"{layout}_0001"), ("down", f"{layout}_0001", *confirmed))]
    if layout == "mentor":
        ways.insert(1, (("plan", "--phase", "contract"), ("up", "--phase", "contract", *confirmed)))
    for plan, apply in ways:
        if "contract" in plan:
            put_every_message_into_a_chat(url)
        planned = _planned(migrate(*plan))
        sent.mark()
        migrate(*apply)
        assert planned
        assert differs(planned, sent.changes()) == []


@pytest.mark.parametrize("engine_name", [pytest.param("mariadb", marks=pytest.mark.mysql)], indirect=True)
@pytest.mark.parametrize("layout", ["mentor"])
def test_a_change_that_no_plan_shows_is_seen_in_the_log(
    logged: tuple[str, StatementsSent], layout: str, migrate: Migrate
) -> None:
    url, sent = logged
    planned = _planned(migrate("plan"))
    sent.mark()
    migrate("up", "mentor_0002")
    database = Database(url)
    with database.begin() as connection:
        connection.execute(sa.text("CREATE INDEX by_hand ON chats (id)"))
    database.close()
    migrate("up")
    assert differs(planned, sent.changes())


def _planned(done: Completed) -> list[str]:
    return [item["sql"] for step in done.json["data"]["steps"] for item in step["statements"]]
