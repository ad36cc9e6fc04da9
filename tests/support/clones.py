"""Copies of a whole database: schema, rows and chatctl's own tables, so that each kill starts from the same state."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot


@contextmanager
def clone(url: str) -> Iterator[str]:
    """The URL of a copy of the database of `url`, which nobody may be connected to; dropped afterwards."""
    source = sa.make_url(url)
    name = f"{source.database}_{uuid.uuid4().hex[:8]}"
    copy = source.set(database=name).render_as_string(hide_password=False)
    if source.get_backend_name() == "sqlite":
        # Whoever wrote last may have left it all in the log.
        with closing(sqlite3.connect(str(source.database))) as original, closing(sqlite3.connect(name)) as target:
            original.backup(target)
        yield copy
        for file in Path(name).parent.glob(Path(name).name + "*"):
            file.unlink()
        return
    is_postgresql = source.get_backend_name() == "postgresql"
    server = sa.create_engine(
        source.set(database="postgres") if is_postgresql else source,
        isolation_level="AUTOCOMMIT",
        poolclass=sa.NullPool,
    )
    with server.connect() as connection:
        if is_postgresql:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{source.database}"')
        else:
            _copy_mysql(connection, str(source.database), name)
    try:
        yield copy
    finally:
        with server.connect() as connection:
            forced = " WITH (FORCE)" if is_postgresql else ""
            connection.exec_driver_sql(f"DROP DATABASE {name}{forced}")


def _copy_mysql(connection: sa.Connection, source: str, target: str) -> None:
    connection.exec_driver_sql(f"CREATE DATABASE `{target}`")
    connection.exec_driver_sql("SET foreign_key_checks = 0")
    tables = [row[0] for row in connection.exec_driver_sql(f"SHOW TABLES IN `{source}`")]
    texts = {name: connection.exec_driver_sql(f"SHOW CREATE TABLE `{source}`.`{name}`").one()[1] for name in tables}
    connection.exec_driver_sql(f"USE `{target}`")
    for name, text in texts.items():
        connection.exec_driver_sql(text.replace("%", "%%"))
        connection.exec_driver_sql(f"INSERT INTO `{target}`.`{name}` SELECT * FROM `{source}`.`{name}`")


def content(url: str) -> dict[str, list[str]]:
    """The rows of each table but chatctl's own, sorted, as text."""
    database = Database(url)
    try:
        with database.connect() as connection:
            names = [name for name in sa.inspect(connection).get_table_names() if not name.startswith("chatctl_")]
            return {name: sorted(str(row) for row in _rows(connection, name)) for name in names}
    finally:
        database.close()


def state(url: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Rows and schema, but for chatctl's own tables."""
    database = Database(url)
    try:
        with database.connect() as connection:
            return content(url), take_snapshot(connection)
    finally:
        database.close()


def _rows(connection: sa.Connection, name: str) -> list[dict[str, object]]:
    # By name: where a column stands in its table is not what a migration promises.
    query = sa.select(sa.text("*")).select_from(sa.table(name))
    return [dict(sorted(row.items())) for row in connection.execute(query).mappings()]
