"""Databases are told apart by their tables alone, on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from chatctl.layouts import Layout, Phase, builtin_names, load_layout
from chatctl.services.survey import survey
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.tables import LayoutTables

BUILTIN = {name: load_layout(name) for name in builtin_names()}
EMPTY = sorted(name for name, layout in BUILTIN.items() if layout.starts_empty)
STATES = {Phase.LEGACY: "before", Phase.EXPAND: "after", Phase.CONTRACT: "after"}


def _made(database: Database, layout: Layout, phase: Phase) -> Database:
    with database.begin() as connection:
        LayoutTables(layout, phase).metadata.create_all(connection)
    return database


@pytest.fixture
def database(engine_url: str) -> Iterator[Database]:
    """An empty database on each engine."""
    with closing(Database(engine_url)) as made:
        yield made


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_each_layout_is_told_from_the_others_in_each_phase(name: str, phase: Phase, sqlite_url: str) -> None:
    with closing(Database(sqlite_url)) as database:
        found = survey(_made(database, BUILTIN[name], phase), BUILTIN)
    if not BUILTIN[name].entities_at(phase):
        assert found == [(layout, "before") for layout in EMPTY]
    else:
        assert found[0] == (name, STATES[phase])
        # The union of all systems holds the tables of one that shares its names; it explains more, and comes first.
        assert len(found) == 1 or name == "native"


def test_a_legacy_database_is_recognised_on_each_engine(database: Database) -> None:
    assert survey(_made(database, BUILTIN["mentor"], Phase.LEGACY), BUILTIN) == [("mentor", "before")]


def test_an_empty_database_is_the_before_of_every_layout_that_starts_empty(database: Database) -> None:
    assert survey(database, BUILTIN) == [(layout, "before") for layout in EMPTY]


def test_a_file_that_is_not_there_is_empty_and_is_not_created(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'gone.db'}", read_only=True)) as database:
        assert [name for name, _ in survey(database, BUILTIN)] == EMPTY
    assert list(tmp_path.iterdir()) == []


def test_a_database_with_tables_of_nobodys_fits_nothing(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE invoices (id INTEGER PRIMARY KEY)"))
    assert survey(database, BUILTIN) == []


def test_a_database_between_two_states_is_mixed_where_nothing_else_fits(sqlite_url: str) -> None:
    with closing(Database(sqlite_url)) as database:
        _made(database, BUILTIN["mentor"], Phase.LEGACY)
        with database.begin() as connection:
            LayoutTables(BUILTIN["mentor"])["chats"].create(connection)
        found = survey(database, BUILTIN)
    assert found[0] == ("mentor", "mixed")
