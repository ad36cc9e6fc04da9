"""A plan says what each statement locks and rewrites, because it has run it in a scratch copy of the schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.support.legacy import make_legacy

from chatctl.layouts import load_layout
from chatctl.services.migrate.planning import Options, read_plan
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dialects.measuring import Measurement
from chatctl.stores.sql.dialects.scratch import NotContainedError
from chatctl.stores.sql.inspection import take_snapshot
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.statements import Statement

SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]
TABLES = {
    "postgresql": [
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE t (id serial PRIMARY KEY, a int, b varchar(20), c text NOT NULL, p int)",
        "CREATE INDEX t_a ON t (a)",
    ],
    "mariadb": [
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, a int, b varchar(20), c varchar(20) NOT NULL, p int,"
        " KEY t_a (a)) CHARSET latin1",
    ],
}
#: Statement → what it blocks, and whether it rewrites the table.
LABELLED = {
    "postgresql": {
        "ALTER TABLE t ADD COLUMN d int": ("reads and writes", False),
        "ALTER TABLE t ADD COLUMN d int DEFAULT 7": ("reads and writes", False),
        "ALTER TABLE t ADD COLUMN d double precision DEFAULT random()": ("reads and writes", True),
        "ALTER TABLE t ALTER COLUMN a TYPE bigint": ("reads and writes", True),
        "ALTER TABLE t ALTER COLUMN b TYPE varchar(40)": ("reads and writes", False),
        "ALTER TABLE t ALTER COLUMN b TYPE text": ("reads and writes", False),
        "ALTER TABLE t ALTER COLUMN b TYPE int USING 1": ("reads and writes", True),
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL": ("reads and writes", False),
        "ALTER TABLE t DROP COLUMN b": ("reads and writes", False),
        "CREATE INDEX t_b ON t (b)": ("writes", False),
        "CREATE INDEX CONCURRENTLY t_b ON t (b)": ("nothing", False),
        "DROP INDEX t_a": ("reads and writes", False),
        "ALTER TABLE t ADD FOREIGN KEY (p) REFERENCES parent (id)": ("writes", False),
        "ALTER TABLE t ADD CHECK (a > 0) NOT VALID": ("reads and writes", False),
        "ALTER TABLE t SET (fillfactor = 70)": ("nothing", False),
        "ALTER TABLE t RENAME COLUMN a TO z": ("reads and writes", False),
        "CREATE TABLE other (id int)": ("nothing", False),
        "TRUNCATE TABLE t": ("reads and writes", False),
        "COMMENT ON TABLE t IS 'x'": ("nothing", False),
        "UPDATE t SET a = 1": ("writes", False),
    },
    "mariadb": {
        "ALTER TABLE t ADD COLUMN d int": ("nothing", False),
        "ALTER TABLE t ADD COLUMN d int DEFAULT 7": ("nothing", False),
        "ALTER TABLE t DROP COLUMN b": ("nothing", False),
        "ALTER TABLE t ADD KEY t_b (b)": ("nothing", False),
        "CREATE INDEX t_b ON t (b)": ("nothing", False),
        "CREATE UNIQUE INDEX t_b ON t (b)": ("nothing", False),
        "ALTER TABLE t DROP INDEX t_a": ("nothing", False),
        "DROP INDEX `t_a` ON t": ("nothing", False),
        "ALTER TABLE t RENAME TO u": ("nothing", False),
        "ALTER TABLE t ADD FULLTEXT KEY t_c (c)": ("writes", True),
        "ALTER TABLE t MODIFY a bigint": ("writes", True),
        "ALTER TABLE t MODIFY b varchar(40)": ("nothing", False),
        "ALTER TABLE t MODIFY b varchar(10)": ("writes", True),
        "ALTER TABLE t MODIFY a int NOT NULL": ("nothing", True),
        "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4": ("writes", True),
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES parent (id)": ("writes", True),
        "SET STATEMENT foreign_key_checks = 0 FOR ALTER TABLE t ADD FOREIGN KEY (p) REFERENCES parent (id)": (
            "nothing", False,
        ),
        "ALTER TABLE t RENAME COLUMN a TO z": ("nothing", False),
        "ALTER TABLE t ALTER COLUMN a SET DEFAULT 3": ("nothing", False),
        "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, a)": ("nothing", True),
        "CREATE TABLE other (id int)": ("nothing", False),
        "UPDATE t SET a = 1": ("writes", False),
    },
}  # fmt: skip


@pytest.fixture
def database(engine_name: str, engine_url: str) -> Iterator[Database]:
    opened = Database(engine_url)
    with opened.begin() as connection:
        for sql in TABLES[engine_name]:
            connection.exec_driver_sql(sql)
    yield opened
    opened.close()


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_what_a_statement_blocks_and_rewrites_is_what_the_server_does(database: Database, engine_name: str) -> None:
    found = {sql: _measured(database, sql) for sql in LABELLED[engine_name]}
    assert {sql: (item.blocks, item.rewrites_table) for sql, item in found.items()} == LABELLED[engine_name]


@pytest.mark.postgresql
@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_check_of_every_row_is_told_from_one_that_needs_none(database: Database) -> None:
    assert _measured(database, "ALTER TABLE t ALTER COLUMN a SET NOT NULL").scans
    assert not _measured(database, "ALTER TABLE t ADD CHECK (a > 0) NOT VALID").scans
    foreign = "ALTER TABLE t ADD FOREIGN KEY (p) REFERENCES parent (id)"
    assert _measured(database, foreign).locks == "SHARE ROW EXCLUSIVE on parent; SHARE ROW EXCLUSIVE on t"
    assert _measured(database, foreign).scans
    assert not _measured(database, f"{foreign} NOT VALID").scans


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_a_scratch_copy_leaves_nothing_and_touches_nothing(database: Database) -> None:
    with database.connect() as connection:
        before, schemas = take_snapshot(connection), sa.inspect(connection).get_schema_names()
        with database.dialect.scratch_copy(connection) as scratch:
            assert take_snapshot(scratch.connection) == before
            scratch.connection.exec_driver_sql("DROP TABLE t")
            scratch.connection.commit()
            assert "t" not in take_snapshot(scratch.connection)
        connection.rollback()
        assert take_snapshot(connection) == before
        assert sa.inspect(connection).get_schema_names() == schemas


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_a_leftover_is_removed_by_the_next_one_and_a_copy_in_use_is_not(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA chatctl_scratch_0123456789ab")
    with database.connect() as first, database.connect() as second, database.dialect.scratch_copy(first) as in_use:
        with database.dialect.scratch_copy(second):
            names = sa.inspect(second).get_schema_names()
            assert "chatctl_scratch_0123456789ab" not in names
            assert sum(name.startswith("chatctl_scratch_") for name in names) == 2
        assert "t" in take_snapshot(in_use.connection)


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_a_statement_that_would_reach_out_of_the_copy_is_not_run(database: Database) -> None:
    with database.connect() as connection, database.dialect.scratch_copy(connection) as scratch:
        own = connection.exec_driver_sql("SELECT current_schema()" if _is_postgresql(database) else "SELECT DATABASE()")
        schema = own.scalar_one()
        assert schema not in scratch.contained(f"ALTER TABLE {schema}.t ADD COLUMN d int")
        for sql in ("GRANT ALL ON t TO public", "CREATE DATABASE x", "DROP SCHEMA x", "SET GLOBAL x = 1"):
            with pytest.raises(NotContainedError):
                scratch.contained(sql)


@pytest.mark.mysql
@pytest.mark.parametrize("engine_name", ["mariadb"], indirect=True)
def test_without_the_right_to_make_a_copy_the_plan_is_made_all_the_same(engine_url: str) -> None:
    make_legacy(engine_url, "mentor")
    url = sa.make_url(engine_url)
    admin = Database(engine_url)
    with admin.begin() as connection:
        connection.exec_driver_sql("CREATE OR REPLACE USER 'chatctl_narrow'@'%%' IDENTIFIED BY 'narrow'")
        connection.exec_driver_sql(f"GRANT ALL ON `{url.database}`.* TO 'chatctl_narrow'@'%%'")
    narrow = url.set(username="chatctl_narrow", password="narrow").render_as_string(hide_password=False)
    database = Database(narrow, read_only=True)
    plan = read_plan(MigrationTarget(database, load_layout("mentor"), Journal(database)), Options(), "to measure")
    database.close()
    assert [warning.code for warning in plan.warnings] == ["not_measured"]
    assert len(plan.steps) == 2
    assert plan.steps[0].statements[0].measured is None
    with admin.begin() as connection:
        connection.exec_driver_sql("DROP USER 'chatctl_narrow'@'%%'")
    admin.close()


@pytest.mark.parametrize("layout", ["mentor"])
def test_a_plan_is_the_same_measured_or_not(engine_url: str, layout: str) -> None:
    make_legacy(engine_url, layout)
    database = Database(engine_url, read_only=True)
    target = MigrationTarget(database, load_layout(layout), Journal(database))
    measured, recorded = (read_plan(target, Options(), how) for how in ("to measure", "never"))
    database.close()
    assert measured.warnings == ()
    assert measured.fingerprint == recorded.fingerprint
    assert not any(item.measured.rewrites_table for step in measured.steps for item in step.statements if item.measured)
    assert any(item.measured for step in measured.steps for item in step.statements)


def _measured(database: Database, sql: str) -> Measurement:
    gauge = database.dialect.gauge()
    with database.connect() as connection, database.dialect.scratch_copy(connection) as scratch:
        raw = scratch.connection.connection.cursor()
        found = gauge.run(Statement(sql), raw, scratch.connection)
        raw.close()
    assert found is not None
    return found


def _is_postgresql(database: Database) -> bool:
    return database.dialect.name == "postgresql"
