"""The server's search for children is spared only where nothing else can refer to a conversation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.support.purging import DAY, NOW, PurgeBed

from chatctl.domain.result import Outcome
from chatctl.stores.sql.dialects import references

pytestmark = [
    pytest.mark.mysql,
    pytest.mark.parametrize("layout_name", ["worker"], indirect=True),
    pytest.mark.parametrize("engine_name", ["mariadb"], indirect=True),
]


@pytest.fixture
def elsewhere(purging: PurgeBed) -> Iterator[str]:
    """A table in another database that refers to one of two expired conversations."""
    purging.add("quoted", NOW - 90 * DAY)
    purging.add("other", NOW - 91 * DAY)
    own = sa.make_url(purging.url).database
    name = f"{own}_elsewhere"
    with purging.database.begin() as connection:
        for statement in (
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
            f"CREATE TABLE {name}.quotes LIKE {own}.messages",
            f"ALTER TABLE {name}.quotes ADD FOREIGN KEY (session_id) REFERENCES {own}.conversations (session_id)",
            f"INSERT INTO {name}.quotes (session_id, timestamp, role, content) VALUES ('quoted', 1, 'user', '1')",
        ):
            connection.exec_driver_sql(statement)
    yield name
    with purging.database.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


def test_what_another_database_refers_to_is_set_aside_and_stays_whole(purging: PurgeBed, elsewhere: str) -> None:
    done = purging.purge()

    assert (done.outcome, done.data["set_aside"]) == (Outcome.PARTIAL, 1)
    assert purging.names("quoted", "other") == {"quoted"}
    assert purging.count("messages") == 2


def test_without_asking_the_row_would_be_left_dangling(
    purging: PurgeBed, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr(references, "_known", lambda *arguments: True)

    purging.purge()

    with purging.database.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT COUNT(*) FROM {elsewhere}.quotes").scalar_one() == 1
        assert connection.exec_driver_sql("SELECT @@foreign_key_checks").scalar_one() == 1
    assert purging.names("quoted", "other") == set()


def test_where_nothing_else_refers_to_them_the_search_is_spared(purging: PurgeBed) -> None:
    on = purging.target
    with purging.database.begin() as connection:
        conversations = on.conversations(connection)
        with purging.database.dialect.children_gone(connection, conversations.what.table, conversations.single_joins):
            assert connection.exec_driver_sql("SELECT @@foreign_key_checks").scalar_one() == 0
        assert connection.exec_driver_sql("SELECT @@foreign_key_checks").scalar_one() == 1
