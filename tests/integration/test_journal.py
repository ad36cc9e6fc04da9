"""The journal beside the data: made once, in its own place, and refused where a newer chatctl has written it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Cli, Completed
from tests.support.handmade import make_legacy

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot
from chatctl.stores.sql.journal import Journal, RunStatus
from chatctl.stores.sql.versions import VERSION_TABLE

Run = Callable[..., Completed]


@pytest.fixture
def database(engine_url: str) -> Iterator[Database]:
    opened = Database(engine_url)
    yield opened
    opened.close()


def test_the_tables_are_those_that_the_code_works_with(database: Database) -> None:
    journal = Journal(database)
    journal.ensure()
    with database.connect() as connection:
        inspector = sa.inspect(connection)
        for table in journal.tables.metadata.sorted_tables:
            found = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
            assert found == {column.name: bool(column.nullable) for column in table.columns}, table.name
            keys = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]


def test_eight_who_make_it_at_once_make_it_once(database: Database, engine_url: str) -> None:
    def make(_: int) -> None:
        own = Database(engine_url)
        try:
            Journal(own).ensure()
        finally:
            own.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))
    with database.connect() as connection:
        assert Journal(database).exists(connection)
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM chatctl_meta WHERE name = 'format'").scalar_one() == 1


def test_a_journal_whose_making_was_interrupted_is_finished(database: Database) -> None:
    journal = Journal(database)
    journal.ensure()
    with database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE chatctl_locks")
        connection.exec_driver_sql("DELETE FROM chatctl_meta")
        connection.exec_driver_sql(f"DELETE FROM {VERSION_TABLE}")
    journal.ensure()
    with database.connect() as connection:
        assert journal.exists(connection)
        assert sa.inspect(connection).has_table("chatctl_locks")


def test_a_newer_journal_is_refused(database: Database, invoke: Run, engine_url: str) -> None:
    Journal(database).ensure()
    make_legacy(database, "mentor")
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE chatctl_meta SET value = '999' WHERE name = 'format'")
    for command in ("up", "check", "history"):
        refused = invoke("-o", "json", "--database", engine_url, "--layout", "mentor", "migrate", command)
        assert refused.exit_code == 4, refused
        assert refused.json["errors"][0]["code"] == "journal_too_new"
    with database.connect() as connection:
        assert "chats" not in take_snapshot(connection)


@pytest.mark.parametrize(
    "engine_name",
    [
        pytest.param("mariadb", marks=pytest.mark.mysql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
    indirect=True,
)
def test_it_lives_in_a_schema_of_its_own_where_told_to(
    database: Database, invoke: Run, engine_url: str, tmp_path: Path
) -> None:
    make_legacy(database, "mentor")
    schema = f"chatctl_own_{database.url.database}"[-60:]
    settings = f"{{database: '{engine_url}', layout: mentor, journal: {{schema: {schema}}}}}"
    (tmp_path / "chatctl.yaml").write_text(f"contexts:\n  default: {settings}\n")
    try:
        assert invoke("-q", "migrate", "up").exit_code == 0
        assert invoke("-q", "migrate", "check").exit_code == 0
        assert invoke("-q", "migrate", "down", "mentor_0001", "--confirm", "default").exit_code == 0
        with database.connect() as connection:
            inspector = sa.inspect(connection)
            assert [name for name in inspector.get_table_names() if name.startswith("chatctl_")] == []
            assert "chatctl_runs" in inspector.get_table_names(schema)
            assert VERSION_TABLE in inspector.get_table_names(schema)
    finally:
        with database.begin() as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=database.dialect.transactional_ddl))


def test_a_run_is_found_again_until_it_is_finished(database: Database) -> None:
    journal = Journal(database)
    journal.ensure()
    with database.begin() as connection:
        run = journal.runs.start(connection, "import", "mentor", "messages", {"files": ["a"]}, "f" * 64)
    with database.begin() as connection:
        found = journal.runs.unfinished(connection, "import", "mentor", "messages")
        assert found is not None
        assert (found.id, found.options, found.status) == (run.id, {"files": ["a"]}, RunStatus.RUNNING)
        assert journal.runs.unfinished(connection, "import", "mentor", "users") is None
        journal.runs.finish(connection, run.id, RunStatus.DONE, {"rows": 3})
        assert journal.runs.unfinished(connection, "import", "mentor", "messages") is None
        assert journal.runs.get(connection, run.id).totals == {"rows": 3}


def test_nothing_of_it_shows_in_the_application_s_own_schema(run_cli: Cli, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    make_legacy(database, "mentor")
    with database.connect() as connection:
        before = take_snapshot(connection)
    Journal(database).ensure()
    with database.connect() as connection:
        assert take_snapshot(connection) == before
    database.close()
