"""mentor's contract on a schema that an application made by itself: other types, names, keys and indexes than ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.support.migrated import Migrated

from chatctl.layouts import Phase, load_layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import differences
from chatctl.stores.sql.revisions import Direction, Guard

#: A legacy schema as others write it. {text} is the engine's word for a key's type, {options} a table's own collation.
LEGACY = [
    "CREATE TABLE users (id {text} NOT NULL PRIMARY KEY, email {text} UNIQUE){options}",
    "CREATE TABLE mentors (id {text} NOT NULL PRIMARY KEY, name {text} NOT NULL){options}",
    """CREATE TABLE messages (
        id {text} NOT NULL PRIMARY KEY,
        "userId" {text} NOT NULL,
        "mentorId" {text} DEFAULT 'm, (1)',
        role {text} NOT NULL CHECK (role <> 'userId:x'),
        content TEXT NOT NULL,
        "createdAt" TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        extra INTEGER DEFAULT 7,
        CONSTRAINT owner FOREIGN KEY ("userId") REFERENCES users (id) ON DELETE CASCADE,
        CONSTRAINT guide FOREIGN KEY ("mentorId") REFERENCES mentors (id) ON DELETE SET NULL
    ){options}""",
    'CREATE INDEX by_owner ON messages ("userId", "createdAt")',
    'CREATE UNIQUE INDEX by_guide ON messages ("mentorId", id)',
    'CREATE INDEX by_time ON messages ("createdAt")',
    "CREATE TABLE attachments (id INTEGER PRIMARY KEY, message {text},"
    " FOREIGN KEY (message) REFERENCES messages (id) ON DELETE CASCADE){options}",
]
ROWS = [
    "INSERT INTO users (id) VALUES ('u1'), ('u2')",
    "INSERT INTO mentors (id, name) VALUES ('m1', 'Ada')",
    """INSERT INTO messages (id, "userId", "mentorId", role, content) VALUES
        ('a', 'u1', 'm1', 'user', 'x'), ('b', 'u1', NULL, 'user', 'y'), ('c', 'u2', 'm1', 'user', 'z')""",
    "INSERT INTO attachments (id, message) VALUES (1, 'a'), (2, 'c')",
]
#: Every message in a chat of its own.
CHATS = [
    """INSERT INTO chats (id, "userId", "mentorId", "updatedAt")
        SELECT id, "userId", "mentorId", "createdAt" FROM messages""",
    'UPDATE messages SET "chatId" = id',
]
_WORDS = {
    "sqlite": {"text": "TEXT", "options": ""},
    "postgresql": {"text": "TEXT", "options": ""},
    "mariadb": {"text": "VARCHAR(191)", "options": " DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_unicode_ci"},
    "mysql": {"text": "VARCHAR(191)", "options": " DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_unicode_ci"},
}


class Application:
    """The application's own database, and its SQL in the words of the engine."""

    def __init__(self, database: Database) -> None:
        self.migrated = Migrated(load_layout("mentor"), database)
        self.database = database
        self.run(*LEGACY, *ROWS)
        with database.engine.connect() as connection:
            self.migrated.revisions.stamp(connection, self.migrated.revisions.chain[0])
            if connection.in_transaction():
                connection.commit()

    def run(self, *statements: str) -> None:
        with self.database.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(self._in_the_engines_words(statement))

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(self._in_the_engines_words(query))]

    def _in_the_engines_words(self, sql: str) -> str:
        name = self.database.dialect.name
        written = sql.format(**_WORDS[name])
        return written.replace('"', "`") if name in ("mariadb", "mysql") else written

    def steps(self, phase: Phase, direction: Direction) -> None:
        chain = [revision for revision in self.migrated.revisions.chain if revision.phase is phase]
        for revision in chain if direction == "up" else reversed(chain):
            self.migrated.step(revision, direction)

    def messages(self) -> list[tuple[object, ...]]:
        columns = 'id, "userId", "mentorId", role, content, "createdAt", extra'
        return self.rows(f"SELECT {columns} FROM messages ORDER BY id")

    def counts(self, guards: tuple[Guard, ...]) -> list[int | None]:
        with self.database.connect() as connection:
            return [connection.scalar(guard.query) for guard in guards]


@pytest.fixture
def application(engine_url: str) -> Iterator[Application]:
    database = Database(engine_url)
    yield Application(database)
    database.close()


def test_an_applications_own_schema_comes_back_as_it_was(application: Application) -> None:
    legacy, messages = application.migrated.snapshot(), application.messages()
    application.steps(Phase.EXPAND, "up")
    application.run(*CHATS)
    expanded = application.migrated.snapshot()

    application.steps(Phase.CONTRACT, "up")
    gone = {change.path for change in differences(expanded, application.migrated.snapshot())}
    assert {"messages.userId", "messages.mentorId", "messages index by_owner", "messages index by_guide"} <= gone
    assert not any("by_time" in path or "chatId" in path or "extra" in path for path in gone)

    application.steps(Phase.CONTRACT, "down")
    assert differences(expanded, application.migrated.snapshot()) == []
    assert application.messages() == messages

    application.steps(Phase.EXPAND, "down")
    assert differences(legacy, application.migrated.snapshot()) == []
    assert application.messages() == messages
    assert application.rows("SELECT id, message FROM attachments ORDER BY id") == [(1, "a"), (2, "c")]


def test_what_leans_on_messages_still_does_after_the_contract(application: Application) -> None:
    application.steps(Phase.EXPAND, "up")
    application.run(*CHATS)
    application.steps(Phase.CONTRACT, "up")
    assert application.rows("SELECT COUNT(*) FROM attachments") == [(2,)]
    application.run("DELETE FROM messages WHERE id = 'a'", "DELETE FROM chats WHERE id = 'c'")
    assert application.rows("SELECT message FROM attachments") == [("c",)]
    assert application.rows("SELECT \"chatId\" FROM messages WHERE id = 'c'") == [(None,)]


def test_messages_without_a_chat_are_counted_before_they_would_lose_their_owner(application: Application) -> None:
    application.steps(Phase.EXPAND, "up")
    contract = application.migrated.revisions.chain[-1]
    assert application.counts(contract.guards) == [3]
    application.run(*CHATS)
    assert application.counts(contract.guards) == [0]
    application.run("UPDATE messages SET \"chatId\" = NULL WHERE id = 'b'")
    assert application.counts(contract.down_guards) == [1]


def test_a_chats_owner_has_the_type_of_the_applications_users(application: Application) -> None:
    application.steps(Phase.EXPAND, "up")
    with application.database.connect() as connection:
        inspector = sa.inspect(connection)
        ours = {item["name"]: item["type"] for item in inspector.get_columns("chats")}
        theirs = {item["name"]: item["type"] for item in inspector.get_columns("users")}
    assert isinstance(ours["userId"], type(theirs["id"]))
    assert ours["userId"].length == theirs["id"].length


@pytest.mark.parametrize("engine_name", ["mariadb"], indirect=True)
def test_a_contract_that_is_begun_again_remembers_what_was_there_at_first(application: Application) -> None:
    application.steps(Phase.EXPAND, "up")
    application.run(*CHATS)
    with pytest.raises(RuntimeError, match="killed"):
        _contract_killed_before(application, "DROP COLUMN `userId`")
    assert "messages.mentorId" not in application.migrated.snapshot()
    remembered = application.rows("SELECT kept FROM chatctl_kept_columns")

    with pytest.raises(RuntimeError, match="killed"):
        _contract_killed_before(application, "ALTER TABLE")
    assert application.rows("SELECT kept FROM chatctl_kept_columns") == remembered
    assert "mentorId" in str(remembered)


def _contract_killed_before(application: Application, statement: str) -> None:
    def kill(connection: object, cursor: object, sql: str, *rest: object) -> None:
        if statement in sql:
            raise RuntimeError("killed")

    engine = application.database.engine
    sa.event.listen(engine, "before_cursor_execute", kill)
    try:
        application.steps(Phase.CONTRACT, "up")
    finally:
        sa.event.remove(engine, "before_cursor_execute", kill)
