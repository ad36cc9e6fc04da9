"""Projects and grants, from the database that the layout's `permissions` describe. Nothing here writes.

Every value is a bound parameter, of the column's own kind: where a project's ID is a number, a text that is no
number matches nothing (MySQL by itself would take '12345 OR 1' for 12345).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from chatctl.domain.permissions import Project
from chatctl.errors import ChatctlError, LayoutError, MissingEntityError, PermissionSourceError
from chatctl.layouts.model import Entity, Layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dialects.probing import answer_within, limit_statements, write_privileges

#: How long an answer may take.
TIMEOUT_SECONDS = 5

_PAIRS_A_QUERY = 200
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


class TpmsSource:
    """The permission source in `database`; `configured` says whether somebody named it, rather than nobody any."""

    def __init__(self, database: Database, layout: Layout, *, configured: bool) -> None:
        self._database = database
        self._layout = layout
        self._configured = configured

    @property
    def where(self) -> str:
        """Where it is, for messages."""
        return self._database.where

    @cached_property
    def why_closed(self) -> str | None:
        """Why it can't be asked at all: nobody named one, and chatctl's own database has no such tables."""
        if self._configured:
            return None
        entity = self._entity("grants")
        if self._database.exists:
            with self._asking() as connection:
                if sa.inspect(connection).has_table(entity.table, schema=entity.schema_):
                    return None
        return "No permission database is configured (permissions.database, or MYSQL_HOST and its companions)."

    def project(self, project: str) -> Project | None:
        """The project of that ID, by the ID that the source itself writes."""
        table = self._projects
        matches = _equals(table.c.id, project)
        if matches is None:
            return None
        with self._asking() as connection:
            row = connection.execute(sa.select(table.c.id, table.c.name).where(matches).limit(1)).first()
        return None if row is None else Project(str(row.id), _text(row.name))

    def has_grant(self, user: str, project: str) -> bool:
        """Whether a grant of the project to the user is there."""
        return self.have_grants([(user, project)])[0]

    def have_grants(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """The same for many (user, project) at once, in order; some hundreds a query."""
        found: list[bool] = []
        with self._asking() as connection:
            for start in range(0, len(pairs), _PAIRS_A_QUERY):
                columns = [self._exists(*pair) for pair in pairs[start : start + _PAIRS_A_QUERY]]
                found += [bool(value) for value in connection.execute(sa.select(*columns)).one()]
        return found

    def projects_of(self, user: str) -> list[Project]:
        """The projects that the user has grants of, by ID; a grant of an unknown project has no name."""
        grants, projects = self._grants, self._projects
        matches = _equals(grants.c.user_id, user)
        if matches is None:
            return []
        with self._asking() as connection:
            granted = {str(value) for value in connection.scalars(sa.select(grants.c.project_id).where(matches))}
            names = dict(self._names(connection, projects, granted))
        return [Project(project, names.get(project)) for project in sorted(granted)]

    def users_of(self, project: str) -> list[str]:
        """The users that have grants of the project, by name."""
        grants = self._grants
        matches = _equals(grants.c.project_id, project)
        if matches is None:
            return []
        with self._asking() as connection:
            return sorted({str(user) for user in connection.scalars(sa.select(grants.c.user_id).where(matches))})

    def write_privileges(self) -> list[str]:
        """What the account could change in the source, in the server's words."""
        with self._asking() as connection:
            return write_privileges(connection, [self._entity(key).table for key in ("projects", "grants")])

    def _exists(self, user: str, project: str) -> Any:
        grants = self._grants
        of_user, of_project = _equals(grants.c.user_id, user), _equals(grants.c.project_id, project)
        if of_user is None or of_project is None:
            return sa.literal(0)
        return sa.exists(sa.select(sa.literal(1)).select_from(grants).where(of_project, of_user))

    def _names(self, connection: sa.Connection, projects: sa.Table, ids: set[str]) -> Iterator[tuple[str, str | None]]:
        wanted = [condition for project in sorted(ids) if (condition := _equals(projects.c.id, project)) is not None]
        for start in range(0, len(wanted), _PAIRS_A_QUERY):
            chosen = sa.or_(*wanted[start : start + _PAIRS_A_QUERY])
            for row in connection.execute(sa.select(projects.c.id, projects.c.name).where(chosen)):
                yield str(row.id), _text(row.name)

    @contextmanager
    def _asking(self) -> Iterator[sa.Connection]:
        """A connection to the source; whatever goes wrong on it is "no answer", never a denial."""
        try:
            with self._database.connect() as connection:
                yield connection
        except PermissionSourceError:
            raise
        except ChatctlError as problem:
            raise PermissionSourceError(
                f"TPMS MySQL connection error: {problem.message}", hint=problem.hint
            ) from problem

    @cached_property
    def _projects(self) -> sa.Table:
        return self._table("projects")

    @cached_property
    def _grants(self) -> sa.Table:
        return self._table("grants")

    def _table(self, key: str) -> sa.Table:
        """The table of `key` with the kinds that its columns really have, by the layout's words."""
        entity = self._entity(key)
        with self._asking() as connection:
            if not sa.inspect(connection).has_table(entity.table, schema=entity.schema_):
                raise MissingEntityError(f"There is no table or view {entity.table}.")
            real = {
                item["name"]: item["type"] for item in sa.inspect(connection).get_columns(entity.table, entity.schema_)
            }
            columns = [
                sa.Column(column.name, real[column.name], key=name, quote=True)
                for name, column in entity.columns.items()
                if column.name in real
            ]
            missing = [column.name for column in entity.columns.values() if column.name not in real]
            if missing:
                raise MissingEntityError(f"{entity.table} has no column {', '.join(missing)}.")
        return sa.Table(entity.table, sa.MetaData(), *columns, schema=entity.schema_)

    def _entity(self, key: str) -> Entity:
        try:
            return self._layout.permissions[key]
        except KeyError:
            raise LayoutError(
                f"The layout '{self._layout.name}' describes no permission source.",
                hint="It needs 'permissions' with 'projects' and 'grants', as simorgh and native have.",
            ) from None


def tpms_database(url: str) -> Database:
    """The permission database at `url`: its session is read-only, and waiting for it has an end."""
    database = Database(url, read_only=True)
    database.url = answer_within(database.url, TIMEOUT_SECONDS)
    limit_statements(database.engine, TIMEOUT_SECONDS)
    return database


def _equals(column: sa.Column[Any], value: str) -> sa.ColumnElement[bool] | None:
    """`column` = `value` in the column's own kind, or None where no value of that kind is meant."""
    if isinstance(column.type, sa.Integer | sa.Numeric):
        if _WHOLE_NUMBER.fullmatch(value) is None:
            return None
        return column == sa.bindparam(None, int(value), type_=sa.BigInteger)
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return None if "\0" in value else column == sa.bindparam(None, value, type_=sa.String)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
