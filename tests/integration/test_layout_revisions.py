"""Each layout's revisions make what the layout says, phase by phase, and go back to the legacy schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.migrated import Migrated

from chatctl.errors import RevisionError
from chatctl.layouts import Column, Entity, Layout, Phase, builtin_names, load_layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import differences
from chatctl.stores.sql.types import sqlalchemy_type

#: What MariaDB keeps a type as, where it has no such type of its own.
_KEPT_AS = {"BOOL": "TINYINT(1)", "JSON": "LONGTEXT", "INTEGER": "INTEGER(11)", "BIGINT": "BIGINT(20)"}


@pytest.fixture
def database(engine_url: str) -> Iterator[Database]:
    opened = Database(engine_url)
    yield opened
    opened.close()


@pytest.fixture(params=builtin_names())
def migrated(request: pytest.FixtureRequest, database: Database) -> Migrated:
    return Migrated(load_layout(request.param), database)


@pytest.mark.parametrize("phase", list(Phase))
def test_the_revisions_make_what_the_layout_says(migrated: Migrated, phase: Phase) -> None:
    migrated.up_to(phase)
    entities = migrated.layout.entities_at(phase)
    with migrated.database.connect() as connection:
        inspector = sa.inspect(connection)
        tables = {name for name in inspector.get_table_names() if not name.startswith("chatctl_")}
        assert tables == {entity.table for entity in entities.values()}
        for entity in entities.values():
            assert _columns_found(inspector, entity) == _columns_declared(connection, entity, phase)
            assert _indexes_found(inspector, entity) == _indexes_declared(entity, phase)
            assert _foreign_keys_found(connection, entity) == _foreign_keys_declared(migrated.layout, entity, phase)


def test_down_leads_back_through_every_schema_that_up_came_by(migrated: Migrated) -> None:
    schemas = [migrated.snapshot()]
    for revision in migrated.revisions.chain:
        migrated.step(revision, "up")
        schemas.append(migrated.snapshot())
    for revision in reversed(migrated.revisions.chain):
        schemas.pop()
        migrated.step(revision, "down")
        assert differences(schemas[-1], migrated.snapshot()) == []


def test_every_revision_has_a_title_and_a_phase_that_never_falls(migrated: Migrated) -> None:
    order = list(Phase)
    places = [order.index(revision.phase) for revision in migrated.revisions.chain]
    assert places == sorted(places)
    assert migrated.revisions.chain[0].phase is Phase.LEGACY
    assert all(revision.title for revision in migrated.revisions.chain)


def test_the_scripts_of_both_ways_do_what_the_revisions_do(migrated: Migrated) -> None:
    # SQLite takes a contract back by rebuilding the table from what it is, which no script can know beforehand.
    last = Phase.EXPAND if migrated.database.dialect.name == "sqlite" else Phase.CONTRACT
    chain = [revision for revision in migrated.revisions.chain if last.at_least(revision.phase)]
    untouched = migrated.snapshot()
    _run_by_hand(migrated.database, migrated.revisions.script(chain, "up"))
    by_script = migrated.snapshot()
    _run_by_hand(migrated.database, migrated.revisions.script(list(reversed(chain)), "down"))
    assert differences(untouched, migrated.snapshot()) == []
    migrated.up_to(last)
    assert differences(migrated.snapshot(), by_script) == []


def test_what_can_not_be_scripted_says_so(sqlite_url: str) -> None:
    revisions = Migrated(load_layout("mentor"), Database(sqlite_url)).revisions
    with pytest.raises(RevisionError, match="can't be scripted for SQLite"):
        revisions.script([revisions.chain[-1]], "down")


def _run_by_hand(database: Database, script: str) -> None:
    """Sends the statements of a script one by one, as the engine's own client would."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        cursor = connection.connection.cursor()
        for statement in script.split(";\n"):
            if statement.strip():
                cursor.execute(statement)


@pytest.mark.parametrize("engine_name", ["mariadb"], indirect=True)
def test_expanding_copies_no_table_on_mariadb(migrated: Migrated) -> None:
    @sa.event.listens_for(migrated.database.engine, "connect")
    def refuse_copies(connection: Any, record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION alter_algorithm = 'NOCOPY'")

    migrated.database.engine.dispose()
    migrated.up_to(Phase.EXPAND)
    with migrated.database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE chatctl_control (n INT)")
        # The control: what does need a copy is refused on such a connection.
        with pytest.raises(Exception, match="ALGORITHM"):
            connection.exec_driver_sql("ALTER TABLE chatctl_control MODIFY n TEXT")


def test_a_breaker_can_only_be_in_a_state_that_there_is(database: Database) -> None:
    migrated = Migrated(load_layout("toolboxai"), database)
    migrated.up_to(Phase.EXPAND)
    insert = "INSERT INTO circuit_breaker_state (name, state) VALUES ('openai', '{}')"
    with pytest.raises(Exception, match=r"(?i)check|constraint"), database.begin() as connection:
        connection.exec_driver_sql(insert.format("AJAR"))
    with database.begin() as connection:
        connection.exec_driver_sql(insert.format("HALF_OPEN"))


def test_text_keeps_its_case_and_its_emoji_on_every_engine(database: Database) -> None:
    migrated = Migrated(load_layout("worker"), database)
    migrated.up_to(Phase.EXPAND)
    with database.begin() as connection:
        for number, name in enumerate(["session_1_ab", "session_1_AB", "session_1_🙂"]):
            connection.exec_driver_sql(
                "INSERT INTO conversations (session_id, account_id, created_at, last_accessed_at)"
                f" VALUES ('{name}', 'default', {number}, {number})"
            )
    with database.connect() as connection:
        ids = connection.exec_driver_sql("SELECT session_id FROM conversations ORDER BY created_at").scalars().all()
    assert ids == ["session_1_ab", "session_1_AB", "session_1_🙂"]


# --- what there is, and what a layout says, in the same words ----------------------------------------------------


def _type_text(type_: sa.types.TypeEngine[object], connection: sa.Connection) -> str:
    text = re.sub(r" (?:CHARACTER SET|COLLATE) \S+", "", type_.compile(connection.dialect))
    return _KEPT_AS.get(text, text) if connection.dialect.name == "mysql" else text


def _columns_found(inspector: sa.Inspector, entity: Entity) -> list[tuple[str, str, bool]]:
    connection = inspector.bind
    assert isinstance(connection, sa.Connection)
    return [
        (item["name"], _type_text(item["type"], connection), item["nullable"])
        for item in inspector.get_columns(entity.table)
    ]


def _columns_declared(connection: sa.Connection, entity: Entity, phase: Phase) -> list[tuple[str, str, bool]]:
    return [
        (column.name, _type_text(_declared_type(column), connection), column.nullable)
        for column in entity.columns_at(phase).values()
    ]


def _declared_type(column: Column) -> sa.types.TypeEngine[object]:
    return sqlalchemy_type(column.type)


def _indexes_found(inspector: sa.Inspector, entity: Entity) -> set[tuple[str, tuple[str, ...], bool]]:
    found = {(i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in inspector.get_indexes(entity.table)}
    unique = {(u["name"], tuple(u["column_names"]), True) for u in inspector.get_unique_constraints(entity.table)}
    return found | unique


def _indexes_declared(entity: Entity, phase: Phase) -> set[tuple[str, tuple[str, ...], bool]]:
    names = {key: column.name for key, column in entity.columns.items()}
    return {
        (index.name, tuple(names[key] for key in index.columns), index.unique)
        for index in entity.indexes
        if index.exists_at(phase)
    }


def _foreign_keys_found(connection: sa.Connection, entity: Entity) -> set[tuple[str, str, str]]:
    if connection.dialect.name == "sqlite":
        # SQLAlchemy doesn't read ON DELETE where it stands in the column's definition.
        read = sa.text('SELECT "from", "table", on_delete FROM pragma_foreign_key_list(:table)')
        rows = connection.execute(read, {"table": entity.table})
        return {(row[0], row[1], row[2]) for row in rows}
    return {
        (key["constrained_columns"][0], key["referred_table"], key["options"].get("ondelete", "NO ACTION"))
        for key in sa.inspect(connection).get_foreign_keys(entity.table)
    }


def _foreign_keys_declared(layout: Layout, entity: Entity, phase: Phase) -> set[tuple[str, str, str]]:
    declared = set()
    for column in entity.columns_at(phase).values():
        if column.references and column.enforced:
            parent = layout.entities[column.references.partition(".")[0]].table
            declared.add((column.name, parent, (column.on_delete or "no action").upper()))
    return declared
