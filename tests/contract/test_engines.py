"""The engines that the contract suite runs on are the ones that it says."""

from __future__ import annotations

from chatctl.stores.sql.database import Database

DIALECTS = {"sqlite": "sqlite", "mariadb": "mariadb", "postgresql": "postgresql", "mysql8": "mysql"}


def test_each_engine_answers_by_its_own_dialect(database: Database, engine_name: str):
    assert database.dialect.name == DIALECTS[engine_name]


def test_a_message_says_where_the_database_is_without_its_password(database: Database):
    assert str(database.url.database) in database.where
    assert "s3cret" not in database.where
