"""The application's own rows about users, mentors and projects, as far as chats refer to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.tables import LayoutTables

#: By which column a user or a project is meant: `ray` numbers its rows, and its IDs are a column of their own.
_ID_COLUMNS = {"users": "user_id", "projects": "project_id"}


class People:
    """Users, mentors and projects under the names of a layout."""

    def __init__(self, tables: LayoutTables) -> None:
        self._tables = tables

    def require(self, connection: sa.Connection, entity: str, identity: str, now: datetime, **more: Any) -> None:
        """Makes the row of `identity` where the layout has such an entity and it isn't there."""
        if entity not in self._tables:
            return
        table = self._tables[entity]
        column = self._id(entity)
        if connection.scalar(sa.select(sa.literal(1)).select_from(table).where(column == identity)):
            return
        values = {column.key: identity, "created_at": now, "accessed_at": now, **more}
        row = {key: value for key, value in values.items() if key in table.c}
        point = connection.begin_nested()
        try:
            connection.execute(table.insert().values(**row))
        except sa.exc.IntegrityError:
            # Another request may have made it in between, which is as good.
            point.rollback()
            if not connection.scalar(sa.select(sa.literal(1)).select_from(table).where(column == identity)):
                raise
        else:
            point.commit()

    def exists(self, connection: sa.Connection, entity: str, identity: str) -> bool:
        """Whether there is such a row."""
        column = self._id(entity)
        return bool(
            connection.scalar(sa.select(sa.literal(1)).select_from(self._tables[entity]).where(column == identity))
        )

    def value(self, connection: sa.Connection, entity: str, identity: str, key: str) -> Any:
        """One column of a row; None where layout, row or value is missing."""
        if entity not in self._tables or key not in self._tables[entity].c:
            return None
        table = self._tables[entity]
        return connection.scalar(sa.select(table.c[key]).where(self._id(entity) == identity))

    def _id(self, entity: str) -> sa.Column[Any]:
        table = self._tables[entity]
        name = _ID_COLUMNS.get(entity, "id")
        return table.c[name] if name in table.c else table.c["id"]
