"""Where a layout's revisions are, and which of them a database has. Without Alembic, which takes long to load."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

#: chatctl's own version table: it never touches the application's `alembic_version`.
VERSION_TABLE = "chatctl_version"


def migrations_folder() -> Path:
    """Where chatctl's revisions are: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parents[2]
    inside = package / "_migrations"
    return inside if inside.is_dir() else package.parents[1] / "migrations"


def stamped(connection: sa.Connection, branch: str | None, schema: str | None) -> str | None:
    """The newest revision of `branch` that the version table in `schema` names, if any."""
    if branch is None or not sa.inspect(connection).has_table(VERSION_TABLE, schema=schema):
        return None
    table = sa.table(VERSION_TABLE, sa.column("version_num"), schema=schema)
    named = set(connection.scalars(sa.select(table.c.version_num)))
    # `0002_chats.py` in the branch's folder is its revision `mentor_0002`; tests hold the files to that.
    files = sorted((migrations_folder() / "versions" / branch).glob("[0-9]*_*.py"))
    known = [f"{branch}_{file.name.partition('_')[0]}" for file in files]
    return next((revision for revision in reversed(known) if revision in named), None)
