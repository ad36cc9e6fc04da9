"""Permission databases of the tests: projects and grants, their IDs as numbers or as text."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from chatctl.stores.sql.database import Database


def make_permissions(
    url: str, projects: Iterable[tuple[str, str]], grants: Iterable[tuple[str, str]], *, numeric: bool = False
) -> None:
    """Makes View_Project_Main and draft_permission at `url`, with (ID, name) and (project, user) rows."""
    kind: sa.types.TypeEngine[object] = sa.Integer() if numeric else sa.String(64)
    metadata = sa.MetaData()
    project_table = sa.Table(
        "View_Project_Main",
        metadata,
        sa.Column("IDProjectMain", kind, primary_key=True, autoincrement=False),
        sa.Column("Project_Name", sa.String(255)),
    )
    grant_table = sa.Table(
        "draft_permission",
        metadata,
        sa.Column("project_ID", kind, primary_key=True, autoincrement=False),
        sa.Column("user", sa.String(191), primary_key=True),
    )
    database = Database(url)
    with database.begin() as connection:
        metadata.create_all(connection)
        for table, rows in ((project_table, projects), (grant_table, grants)):
            names = [column.name for column in table.columns]
            values = [dict(zip(names, row, strict=True)) for row in rows]
            if values:
                connection.execute(table.insert(), values)
    database.close()
