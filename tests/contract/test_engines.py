"""The engines that the contract suite runs on are the ones that it says."""

from __future__ import annotations

import sqlalchemy as sa

from chatctl.stores.sql.database import Database

DIALECTS = {"sqlite": "sqlite", "mariadb": "mariadb", "postgresql": "postgresql", "mysql8": "mysql"}


def test_each_engine_answers_by_its_own_dialect(database: Database, engine_name: str):
    assert database.dialect.name == DIALECTS[engine_name]


def test_a_message_says_where_the_database_is_without_its_password(database: Database):
    assert str(database.url.database) in database.where
    assert "s3cret" not in database.where


def test_a_sqlite_file_that_isnt_there_is_read_as_an_empty_database_and_not_made(sqlite_url: str) -> None:
    database = Database(sqlite_url, read_only=True)

    with database.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []

    assert not database.exists
    database.close()
