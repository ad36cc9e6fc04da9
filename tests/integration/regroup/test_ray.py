"""The layout `ray`: conversations without owners get a user, a project and a chat, by the commands of any layout."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.migrated import Migrated
from tests.support.regrouping import crew

from chatctl.domain.result import Result
from chatctl.errors import InputFileError, UsageError
from chatctl.layouts import Phase, load_layout
from chatctl.services.regroup import running, undoing, verifying
from chatctl.services.regroup.target import RegroupTarget, Request
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal

START = datetime(2026, 1, 1, 12)
ANONYMOUS = "00000000-0000-4000-8000-000000000000"
DEFAULT = "default-00000000"


class Ray:
    """A database of the layout `ray` after its expand phase: ten conversations, a pause of an hour after the sixth."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        layout = load_layout("ray")
        self.target = RegroupTarget(self.database, layout, Journal(self.database))
        self.tables = self.target.tables
        Migrated(layout, self.database).up_to(Phase.EXPAND)
        rows = [(n, f"question {n}", START + timedelta(minutes=n + (60 if n > 6 else 0))) for n in range(1, 11)]
        with self.database.begin() as connection:
            self.database.dialect.bulk_insert(
                connection, self.tables["messages"], ["id", "content", "created_at"], rows
            )

    def run(self, mapping: Path | None = None) -> Result:
        grouping = self.target.grouping(Request(mapping=mapping))
        return running.start(self.target, grouping, crew(batch_size=3), mapping=mapping)

    def rows(self, entity: str, *keys: str) -> list[tuple[Any, ...]]:
        table = self.tables[entity]
        query = sa.select(*(table.c[key] for key in keys)).order_by(*(table.c[key] for key in keys))
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def fingerprints(self) -> dict[str, tuple[int, str]]:
        entities = ("messages", "chats", "projects", "users")
        with self.database.connect() as connection:
            return {key: self.database.dialect.fingerprint(connection, self.tables[key]) for key in entities}


@pytest.fixture
def ray(engine_url: str) -> Iterator[Ray]:
    made = Ray(engine_url)
    yield made
    made.database.close()


def test_conversations_get_the_anonymous_user_the_default_project_and_chats_by_pauses(ray: Ray) -> None:
    before = ray.fingerprints()

    result = ray.run()

    assert (result.data["messages_moved"], result.data["chats_created"]) == (10, 2)
    assert ray.rows("users", "user_id") == [(ANONYMOUS,)]
    assert ray.rows("projects", "project_id") == [(DEFAULT,)]
    chats = ray.rows("chats", "project_id", "chat_id", "created_at", "accessed_at")
    assert sorted((project, first, last) for project, _, first, last in chats) == [
        (
            DEFAULT,
            (START + timedelta(minutes=1)).replace(tzinfo=UTC),
            (START + timedelta(minutes=6)).replace(tzinfo=UTC),
        ),
        (
            DEFAULT,
            (START + timedelta(minutes=67)).replace(tzinfo=UTC),
            (START + timedelta(minutes=70)).replace(tzinfo=UTC),
        ),
    ]
    assert all(chat_id.startswith("chat-") and len(chat_id) == 21 for _, chat_id, _, _ in chats)
    assert {row[1:] for row in ray.rows("messages", "id", "user_id", "project_id")} == {(ANONYMOUS, DEFAULT)}
    assert verifying.verify(ray.target, None).data["ok"]

    undoing.undo(ray.target, None, crew())

    assert ray.fingerprints() == before


@pytest.mark.parametrize("name", ["owners.csv", "owners.jsonl"])
def test_a_mapping_says_whose_conversations_are_which(ray: Ray, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text(
        "id,user_id,project_id\n2,anna,alpha-0a0b0c0d\n3,anna,\n7,,beta-00000001\n"
        if name.endswith("csv")
        else '{"id": 2, "user_id": "anna", "project_id": "alpha-0a0b0c0d"}\n{"id": 3, "user_id": "anna"}\n'
        '{"id": 7, "project_id": "beta-00000001"}\n'
    )
    before = ray.fingerprints()

    result = ray.run(file)

    owners = {
        identity: (user, project) for identity, user, project in ray.rows("messages", "id", "user_id", "project_id")
    }
    assert (owners[2], owners[3]) == (("anna", "alpha-0a0b0c0d"), ("anna", DEFAULT))
    assert (owners[7], owners[1]) == ((ANONYMOUS, "beta-00000001"), (ANONYMOUS, DEFAULT))
    assert result.data["chats_created"] == 5
    assert ray.rows("users", "user_id") == [(ANONYMOUS,), ("anna",)]
    assert [row[0] for row in ray.rows("projects", "project_id")] == ["alpha-0a0b0c0d", "beta-00000001", DEFAULT]
    assert verifying.verify(ray.target, None).data["ok"]

    undoing.undo(ray.target, None, crew())

    assert ray.fingerprints() == before


def test_a_mapping_that_cannot_be_read_moves_nothing(ray: Ray, tmp_path: Path) -> None:
    file = tmp_path / "owners.csv"
    file.write_text("id,user_id\n1,anna\nnot a number,berta\n")
    before = ray.fingerprints()

    with pytest.raises(InputFileError, match="line 3"):
        ray.run(file)

    assert ray.fingerprints() == before


def test_a_layout_whose_messages_name_their_owners_takes_no_mapping(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    target = RegroupTarget(database, load_layout("mentor"), Journal(database))

    with pytest.raises(UsageError, match="--mapping"):
        target.grouping(Request(mapping=tmp_path / "owners.csv"))
    database.close()
