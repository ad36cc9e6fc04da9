"""A statement that a kill left in doubt is settled by what it was to change, and by nothing else.

Only DDL that doesn't roll back is ever in doubt. What others do to the schema meanwhile must not pass for its effect,
and half of an effect must not pass for the whole.
"""

from __future__ import annotations

import copy
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.alembic_project import make_project, write_revision
from tests.support.cli import Completed
from tests.support.clones import clone, state
from tests.support.databases import Databases
from tests.support.faults import Faults, moments_in
from tests.support.zygote import Zygote

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot

KILLED = 137
MARIADB = [pytest.param("mariadb", marks=pytest.mark.mysql)]
POSTGRESQL = [pytest.param("postgresql", marks=pytest.mark.postgresql)]
SERVERS = [*MARIADB, *POSTGRESQL]


class Project:
    """A table `users`, and revisions more, made of given statements, on the database of `url`."""

    def __init__(self, folder: Path, url: str, zygote: Zygote) -> None:
        self._location = make_project(folder, count=1)
        self._revisions = 1
        self._zygote = zygote
        self._database = Database(url)
        self._env = {"CHATCTL_DATABASE": url, "CHATCTL_MIGRATIONS_SCRIPT_LOCATION": str(self._location)}
        assert self.up().exit_code == 0

    def at(self, url: str) -> Project:
        """The same project on a copy of the database."""
        other = copy.copy(self)
        other._env = {**self._env, "CHATCTL_DATABASE": url}
        return other

    def add(self, *statements: str) -> None:
        """Writes a revision more. On PostgreSQL each of its statements commits by itself."""
        lines = "\n".join(f"    op.execute({sql!r})" for sql in statements)
        self.add_code(f"with op.get_context().autocommit_block():\n{lines}")

    def add_code(self, code: str) -> None:
        """Writes a revision more, of that code."""
        self._revisions += 1
        write_revision(self._location, self._revisions, code, "pass")

    def up(self, **env: str) -> Completed:
        """Runs `migrate up`."""
        return self._zygote("migrate", "up", "--allow-copy", "--confirm", "default", env={**self._env, **env})

    def killed_up(self, moment: str) -> None:
        """Runs it to a moment at which it is killed."""
        done = self.up(CHATCTL_FAIL_POINT=moment)
        assert done.exit_code == KILLED, done

    def by_hand(self, *statements: str) -> None:
        """What somebody else does to the database."""
        with self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for sql in statements:
                connection.exec_driver_sql(sql)

    def close(self) -> None:
        """Gives its connections back."""
        self._database.close()

    @property
    def schema(self) -> dict[str, str]:
        """As it is now."""
        with self._database.connect() as connection:
            return take_snapshot(connection)


@pytest.fixture
def project(engine_url: str, zygote: Zygote, tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path / "shop", engine_url, zygote)
    yield made
    made.close()


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_what_others_change_elsewhere_is_not_taken_for_the_statement_s_effect(project: Project) -> None:
    project.add("CREATE INDEX users_name ON users (name)")
    project.killed_up("statement.before")
    project.by_hand("CREATE TABLE by_hand (id int)")
    done = project.up()
    assert done.exit_code == 0, done
    assert project.schema["users index users_name"] == "(name)"


@pytest.mark.parametrize("engine_name", MARIADB, indirect=True)
def test_tables_of_which_only_some_were_dropped_are_all_dropped_and_that_is_said(project: Project) -> None:
    project.by_hand("CREATE TABLE one (id int)", "CREATE TABLE two (id int)", "CREATE TABLE three (id int)")
    project.add("DROP TABLE one, `two`, three")
    project.killed_up("statement.before")
    project.by_hand("DROP TABLE one")
    done = project.up()
    assert done.exit_code == 0, done
    assert not {"one", "two", "three"} & project.schema.keys()
    assert "DROP TABLE one, `two`, three was half done, and is finished" in done.stderr


@pytest.mark.parametrize("engine_name", POSTGRESQL, indirect=True)
def test_an_index_that_was_only_marked_to_be_dropped_is_dropped(project: Project) -> None:
    project.by_hand("CREATE INDEX users_name ON users (name)")
    project.add("DROP INDEX CONCURRENTLY users_name")
    project.killed_up("statement.before")
    # As the server leaves it where the second half of the statement was cut off.
    project.by_hand("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_name'::regclass")
    done = project.up()
    assert done.exit_code == 0, done
    assert "users index users_name" not in project.schema


#: What makes the tables for them, and statements that commit by themselves, each of which must not run twice.
ONCE = {
    "mariadb": (
        ["CREATE TABLE parted (id int) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (9),"
             " PARTITION b VALUES LESS THAN (99))"],
        [
            "CREATE TABLE made (id int PRIMARY KEY, a int, b int)",
            "ALTER TABLE made ADD INDEX (a)",
            "ALTER TABLE made ADD UNIQUE (b)",
            "ALTER TABLE made ADD FOREIGN KEY (a) REFERENCES users (id)",
            "ALTER TABLE made ADD CHECK (b > 0)",
            "ALTER TABLE made RENAME COLUMN b TO c",
            "ALTER TABLE made DROP COLUMN c",
            "CREATE VIEW looked AS SELECT id FROM users",
            "CREATE TRIGGER pulled BEFORE INSERT ON made FOR EACH ROW SET NEW.a = 1",
            "CREATE SEQUENCE counted",
            "ALTER TABLE parted ADD PARTITION (PARTITION c VALUES LESS THAN (999))",
            "ALTER TABLE parted DROP PARTITION c",
            "RENAME TABLE made TO renamed",
            "DROP TRIGGER pulled",
            "DROP SEQUENCE counted",
            "DROP VIEW looked",
            "DROP TABLE renamed",
        ],
    ),
    "postgresql": (
        ["CREATE TYPE mood AS ENUM ('well')"],
        [
            "ALTER TYPE mood ADD VALUE 'ill'",
            "CREATE TABLE made (id int PRIMARY KEY, a int, b int)",
            "CREATE INDEX CONCURRENTLY made_a ON made (a)",
            "CREATE INDEX ON made (b)",
            "ALTER TABLE made ADD UNIQUE (b)",
            "ALTER TABLE made ADD FOREIGN KEY (a) REFERENCES users (id) NOT VALID",
            "ALTER TABLE made VALIDATE CONSTRAINT made_a_fkey",
            "ALTER INDEX made_a RENAME TO made_z",
            "CREATE VIEW looked AS SELECT id FROM users",
            "CREATE SEQUENCE counted",
            "DROP SEQUENCE counted",
            "DROP VIEW looked",
            "DROP INDEX CONCURRENTLY made_z",
            "ALTER TABLE made RENAME TO renamed",
            "DROP TABLE renamed",
        ],
    ),
}  # fmt: skip


@pytest.fixture
def undisturbed(engine_name: str, zygote: Zygote, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """The same on a database of its own, where nothing is killed."""
    databases: Databases = request.getfixturevalue(f"{engine_name}_databases")
    with databases.database() as url:
        made = Project(tmp_path / "calm", url, zygote)
        yield made
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_a_statement_that_was_run_and_not_noted_is_not_run_again(
    project: Project, undisturbed: Project, engine_name: str
) -> None:
    before, statements = ONCE[engine_name]
    for each in (project, undisturbed):
        each.by_hand(*before)
    for sql in statements:
        for each in (project, undisturbed):
            each.add(sql)
        calm = undisturbed.up()
        assert calm.exit_code == 0, calm
        project.killed_up("statement.after")
        done = project.up()
        assert done.exit_code == 0, f"{sql}\n{done}"
        assert project.schema == undisturbed.schema, sql


#: A revision whose code goes by what its changes answer: counts, keys that the server makes, rows of RETURNING.
GOING_BY_ANSWERS = """
from sqlalchemy.orm import Session, declarative_base

op.create_table("people", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(40)))
op.create_table("pets", sa.Column("id", sa.Integer, primary_key=True), sa.Column("owner", sa.Integer))
Base = declarative_base()


class Person(Base):
    __tablename__ = "people"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(40))


class Pet(Base):
    __tablename__ = "pets"
    id = sa.Column(sa.Integer, primary_key=True)
    owner = sa.Column(sa.Integer)


bind = op.get_bind()
session = Session(bind=bind)
people = [Person(name=f"person {number}") for number in range(3)]
session.add_all(people)
session.flush()
op.add_column("people", sa.Column("age", sa.Integer))
session.add_all([Pet(owner=person.id * 10) for person in people])
session.flush()
for person in session.query(Person).order_by(Person.id):
    person.name = person.name.upper()
session.flush()
op.add_column("pets", sa.Column("kind", sa.String(20)))
session.delete(people[0])
session.flush()
(made,) = bind.execute(sa.insert(Pet.__table__).values(owner=7)).inserted_primary_key
changed = bind.execute(sa.text("UPDATE pets SET kind = 'cat'")).rowcount
op.create_index("pets_owner", "pets", ["owner"])
bind.execute(sa.text("UPDATE pets SET kind = :k WHERE id = :i"), {"k": f"dog of {changed}", "i": made})
op.create_index("people_name", "people", ["name"])
"""


@pytest.mark.parametrize("engine_name", ["sqlite", *SERVERS], indirect=True)
def test_code_that_goes_by_what_its_changes_answer_is_finished_after_a_kill_at_any_moment(
    project: Project, engine_url: str, tmp_path: Path, faults: Faults
) -> None:
    project.add_code(GOING_BY_ANSWERS)
    trace = tmp_path / "moments"
    with clone(engine_url) as undisturbed:
        project.at(undisturbed).up(CHATCTL_FAIL_POINT_TRACE=str(trace))
        expected = people_and_pets(undisturbed)
    assert expected[1:] == (["PERSON 1", "PERSON 2"], [("cat", 1), ("cat", 2), ("cat", 3), ("dog of 4", None)])
    for moment in faults.spread(moments_in(trace), 6):
        with clone(engine_url) as url:
            there = project.at(url)
            there.killed_up(moment)
            done = there.up()
            assert done.exit_code == 0, f"{moment}\n{done}"
            assert people_and_pets(url) == expected, moment


def people_and_pets(url: str) -> tuple[dict[str, str], list[str], list[tuple[str, int | None]]]:
    """The schema, the people, and the pets with the places of their owners; a key that was rolled back is a gap."""
    rows, schema = state(url)
    people = sorted((row["id"], row["name"]) for row in map(literal_eval, rows["people"]))
    pets = sorted((row["id"], row["kind"], row["owner"]) for row in map(literal_eval, rows["pets"]))
    first = people[0][0] - 2
    return schema, [name for _, name in people], [(k, None if o == 7 else o // 10 - first) for _, k, o in pets]
