"""Legacy databases as an application's own hands made them: other widths, extra columns, keys of their own, rows."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chatctl.stores.sql.database import Database

_MENTOR = {
    "postgresql": """
        CREATE TABLE users (id text PRIMARY KEY, email text NOT NULL UNIQUE, "createdAt" timestamptz DEFAULT now());
        CREATE TABLE mentors (id varchar(30) PRIMARY KEY, name text, persona jsonb);
        CREATE TABLE messages (
            id varchar(30) PRIMARY KEY, "userId" text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            "mentorId" varchar(30) REFERENCES mentors (id), role text NOT NULL, content text NOT NULL,
            prompt text, model text, tokens integer, metadata jsonb,
            "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
            "taskId" text, "isFlagged" boolean DEFAULT false
        );
        CREATE INDEX "messages_userId_idx" ON messages ("userId", "createdAt")""",
    "mariadb": """
        CREATE TABLE users (
            id varchar(191) CHARACTER SET latin1 PRIMARY KEY, email varchar(191) NOT NULL UNIQUE,
            `createdAt` datetime(3) DEFAULT current_timestamp(3)
        );
        CREATE TABLE mentors (id varchar(30) PRIMARY KEY, name varchar(191), persona json) DEFAULT CHARSET latin1;
        CREATE TABLE messages (
            id varchar(30) PRIMARY KEY, `userId` varchar(191) CHARACTER SET latin1 NOT NULL, `mentorId` varchar(30),
            role varchar(191) NOT NULL, content longtext CHARACTER SET utf8mb4 NOT NULL, prompt text,
            model varchar(191), tokens int, metadata json,
            `createdAt` datetime(3) NOT NULL DEFAULT current_timestamp(3), `taskId` varchar(191),
            `isFlagged` tinyint(1) DEFAULT 0, KEY `messages_userId_idx` (`userId`, `createdAt`),
            CONSTRAINT `messages_userId_fkey` FOREIGN KEY (`userId`) REFERENCES users (id) ON DELETE CASCADE,
            CONSTRAINT `messages_mentorId_fkey` FOREIGN KEY (`mentorId`) REFERENCES mentors (id)
        ) DEFAULT CHARSET latin1""",
    "sqlite": """
        CREATE TABLE users (id TEXT NOT NULL PRIMARY KEY, email TEXT NOT NULL UNIQUE, "createdAt" DATETIME);
        CREATE TABLE mentors (id TEXT NOT NULL PRIMARY KEY, name TEXT, persona JSONB);
        CREATE TABLE messages (
            id TEXT NOT NULL PRIMARY KEY, "userId" TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            "mentorId" TEXT REFERENCES mentors (id), role TEXT NOT NULL, content TEXT NOT NULL,
            prompt TEXT, model TEXT, tokens INTEGER, metadata JSONB,
            "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "taskId" TEXT, "isFlagged" BOOLEAN DEFAULT 0
        );
        CREATE INDEX "messages_userId_idx" ON messages ("userId", "createdAt")""",
}
_MENTOR_ROWS = """
    INSERT INTO users (id, email) VALUES ('u1', 'one@example.org'), ('u''2', 'two@example.org');
    INSERT INTO mentors (id, name) VALUES ('m1', 'Ada'), ('m2', 'O"Hara');
    INSERT INTO messages (id, "userId", "mentorId", role, content, "createdAt") VALUES
        ('a', 'u1', 'm1', 'user', 'Hello, 😀 {w}', '2024-02-29 23:59:59.999'),
        ('b', 'u1', 'm1', 'assistant', 'line one
line two', '2024-03-01 00:00:00.000'),
        ('c', 'u''2', NULL, 'user', 'it''s "quoted"', '1999-12-31 12:00:00.001'),
        ('d', 'u''2', 'm2', 'user', 'Привет', '2038-01-19 03:14:08.000')"""

_RAY = {
    "postgresql": """
        CREATE TABLE conversations (
            id bigserial PRIMARY KEY, message text NOT NULL, response text, model varchar(64), command_results jsonb,
            "timestamp" timestamp NOT NULL DEFAULT now(), client_version text
        )""",
    "mariadb": """
        CREATE TABLE conversations (
            id bigint unsigned AUTO_INCREMENT PRIMARY KEY, message mediumtext NOT NULL, response mediumtext,
            model varchar(64), command_results json, `timestamp` datetime NOT NULL DEFAULT current_timestamp,
            client_version varchar(20)
        ) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin""",
    "sqlite": """
        CREATE TABLE conversations (
            id INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT NOT NULL, response TEXT, model TEXT,
            command_results TEXT, "timestamp" TIMESTAMP DEFAULT CURRENT_TIMESTAMP, client_version TEXT
        )""",
}
_RAY_ROWS = """
    INSERT INTO conversations (message, response, "timestamp") VALUES
        ('hello', NULL, '2024-01-01 00:00:00'), ('', 'an answer', '2024-01-01 00:00:01')"""

_TOOLBOXAI = {
    "postgresql": """
        CREATE TABLE users (id uuid PRIMARY KEY, username varchar(50), email varchar(100), created_at timestamp);
        CREATE TABLE educational_content (
            id uuid PRIMARY KEY, title varchar(200), content jsonb, grade_level integer, created_at timestamp
        );
        CREATE TABLE sessions (id uuid PRIMARY KEY, user_id uuid REFERENCES users (id), created_at timestamp)""",
    "mariadb": """
        CREATE TABLE users (id char(36) PRIMARY KEY, username varchar(50), email varchar(100), created_at datetime);
        CREATE TABLE educational_content (
            id char(36) PRIMARY KEY, title varchar(200), content json, grade_level int, created_at datetime
        );
        CREATE TABLE sessions (
            id char(36) PRIMARY KEY, user_id char(36), created_at datetime, FOREIGN KEY (user_id) REFERENCES users (id)
        )""",
    "sqlite": """
        CREATE TABLE users (id CHAR(36) PRIMARY KEY, username VARCHAR(50), email VARCHAR(100), created_at TIMESTAMP);
        CREATE TABLE educational_content (
            id CHAR(36) PRIMARY KEY, title VARCHAR(200), content JSON, grade_level INTEGER, created_at TIMESTAMP
        );
        CREATE TABLE sessions (
            id CHAR(36) PRIMARY KEY, user_id CHAR(36) REFERENCES users (id), created_at TIMESTAMP
        )""",
}
_TOOLBOXAI_ROWS = """
    INSERT INTO users (id, username, created_at) VALUES
        ('11111111-1111-4111-8111-111111111111', 'ann', '2023-05-05 05:05:05'),
        ('22222222-2222-4222-8222-222222222222', 'bob', NULL);
    INSERT INTO educational_content (id, title, content, grade_level) VALUES
        ('33333333-3333-4333-8333-333333333333', 'Fractions', '{"parts": 2}', 5);
    INSERT INTO sessions (id, user_id, created_at) VALUES
        ('44444444-4444-4444-8444-444444444444', '11111111-1111-4111-8111-111111111111', '2023-05-05 05:05:06')"""

_SCHEMAS = {"mentor": _MENTOR, "ray": _RAY, "toolboxai": _TOOLBOXAI}
_ROWS = {"mentor": _MENTOR_ROWS, "ray": _RAY_ROWS, "toolboxai": _TOOLBOXAI_ROWS}

#: The layouts that carry data; the others begin with an empty database.
WITH_DATA = tuple(_SCHEMAS)


@dataclass(frozen=True)
class LegacyDatabase:
    """A database in its legacy state, and what is in its tables."""

    database: Database
    layout: str
    columns: dict[str, list[str]]

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """Every legacy column of every legacy row, as text, by table; whatever was added since is left out."""
        found = {}
        with self.database.connect() as connection:
            for name, columns in self.columns.items():
                table = sa.table(name, *(sa.column(column) for column in columns))
                texts = [sa.cast(table.c[column], sa.String) for column in columns]
                found[name] = sorted(tuple(map(str, row)) for row in connection.execute(sa.select(*texts)))
        return found


def make_legacy(database: Database, layout: str) -> LegacyDatabase:
    """Makes the legacy tables of `layout` by hand-written SQL, with a few rows; nothing for one that starts empty."""
    dialect = database.dialect
    engine = "mariadb" if dialect.alembic_name == "mysql" else dialect.name
    statements = [*_SCHEMAS.get(layout, {}).get(engine, "").split(";"), *_ROWS.get(layout, "").split(";\n")]
    with database.begin() as connection:
        if engine == "mariadb":
            connection.exec_driver_sql("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
        for statement in statements:
            if statement.strip():
                connection.exec_driver_sql(statement)
    # ANSI quotes must not outlive the statements that were written for them: SQLAlchemy reads backticks.
    database.engine.dispose()
    with database.connect() as connection:
        inspector = sa.inspect(connection)
        names = [name for name in inspector.get_table_names() if not name.startswith("chatctl_")]
        columns = {name: [column["name"] for column in inspector.get_columns(name)] for name in names}
    return LegacyDatabase(database, layout, columns)
