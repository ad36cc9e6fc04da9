"""A scratch copy of a schema, without its rows, on the same server: where revisions may really run.

It is named so that a leftover is known for one, and it is held by an advisory lock of that name: whoever makes the
next one drops those that nobody holds any more. The application's own schema is only read.
"""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.errors import RefusedError

#: What every scratch schema's name starts with.
PREFIX = "chatctl_scratch_"

#: What may run in a scratch copy: it changes nothing outside of the schema that it runs in.
_CONTAINED = re.compile(
    r"\s*(?:(?:SET\s+STATEMENT\b.*?\bFOR\s+)?(?:CREATE|ALTER|DROP|TRUNCATE|RENAME|COMMENT\s+ON)\s+(?:OR\s+REPLACE\s+)?"
    r"(?:UNIQUE\s+|TEMPORARY\s+|FULLTEXT\s+|SPATIAL\s+|MATERIALIZED\s+)*"
    r"(?:TABLE|INDEX|VIEW|SEQUENCE|TYPE|COLUMN|CONSTRAINT|TRIGGER)\b"
    r"|INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|SET\s+(?!GLOBAL\b|PERSIST)|RESET|PRAGMA)",
    re.IGNORECASE | re.DOTALL,
)


class NotContainedError(RefusedError):
    """A statement would reach out of the scratch copy."""


@dataclass(frozen=True)
class Scratch:
    """Where revisions run to show what they send. `executes` says whether their writes are to run, too.

    `contained` turns a statement into what runs in the copy, or raises NotContainedError. `url` leads into the copy
    whoever connects with it, and `require_inside` raises NotContainedError on a cursor that is somewhere else.
    """

    connection: sa.Connection
    executes: bool
    contained: Callable[[str], str] = lambda sql: sql
    url: sa.URL | None = None
    require_inside: Callable[[Any], None] = lambda cursor: None


def contained(sql: str, schema: str, name: str, others: Sequence[str]) -> str:
    """`sql` with the qualifier `schema` turned into `name`.

    Raises NotContainedError where it names one of the `others`, or isn't known to stay inside its schema.
    """
    if not _CONTAINED.match(sql):
        raise NotContainedError(f"A scratch copy can't contain this statement: {sql}")
    for other in others:
        if _qualifier(other).search(sql):
            raise NotContainedError(f"A scratch copy of one schema can't contain a statement on '{other}': {sql}")
    return _qualifier(schema).sub(f"{name}.", sql)


def require_answer(cursor: Any, query: str, expected: str) -> None:
    """Raises NotContainedError unless the query has that one answer."""
    cursor.execute(query)
    found = cursor.fetchone()[0]
    if found != expected:
        raise NotContainedError(f"The revision is connected to '{found}', not to the scratch copy.")


def _qualifier(schema: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w$.])[\"`]?{re.escape(schema)}[\"`]?\s*\.(?=\s*[\w\"`])")


class ScratchMaker(ABC):
    """Makes scratch copies on a server. `engine_for` gives an engine that writes, for a URL."""

    def __init__(self, engine_for: Callable[[sa.URL], sa.Engine], carried: Sequence[str]) -> None:
        self._engine_for = engine_for
        self._carried = carried

    @contextmanager
    def made(self, source: sa.Connection, script: Sequence[str] | None = None) -> Iterator[Scratch]:
        """A copy of the schema that `source` is connected to; the rows of the tables `carried` come along.

        With a `script` its statements make the tables instead.
        """
        name = f"{PREFIX}{secrets.token_hex(6)}"
        schema = str(source.exec_driver_sql(self.current).scalar_one())
        with ExitStack() as stack:
            engine = self._engine_for(self.url(source.engine.url, None))
            stack.callback(engine.dispose)
            keeper = stack.enter_context(engine.connect())
            self._drop_leftovers(keeper)
            self._hold(keeper, name)
            stack.callback(self._drop, keeper, name)
            self.create(keeper, source, name)
            keeper.commit()
            url = self.url(source.engine.url, name)
            inside = self._engine_for(url)
            stack.callback(inside.dispose)
            connection = stack.enter_context(inside.connect())
            if str(connection.exec_driver_sql(self.current).scalar_one()) != name:
                raise RefusedError("A pooler keeps connections from being led into a scratch schema.")
            others = [other for other in self.schemas(source) if other not in (schema, name)]
            if script is None:
                self.fill(connection, source, schema)
            else:
                self.load(connection, [contained(sql, schema, name, others) for sql in script])
            connection.commit()
            yield Scratch(
                connection,
                executes=True,
                contained=lambda sql: contained(sql, schema, name, others),
                url=url,
                require_inside=lambda cursor: require_answer(cursor, self.current, name),
            )
            connection.rollback()

    #: The query for the name of the schema that a connection is in, and the one for those that nobody holds.
    current: str
    listing: str

    @abstractmethod
    def url(self, url: sa.URL, name: str | None) -> sa.URL:
        """The URL whose connections are in the schema `name`, or where `url` leads for None."""

    @abstractmethod
    def create(self, keeper: sa.Connection, source: sa.Connection, name: str) -> None:
        """Makes the empty schema."""

    @abstractmethod
    def fill(self, target: sa.Connection, source: sa.Connection, schema: str) -> None:
        """Makes the tables of `source` in `target`."""

    def load(self, target: sa.Connection, script: Sequence[str]) -> None:
        """Makes the tables that a script describes."""
        for sql in script:
            target.exec_driver_sql(sql.replace("%", "%%"))

    @abstractmethod
    def schemas(self, source: sa.Connection) -> list[str]:
        """The server's schemas, but its own."""

    @abstractmethod
    def drop(self, keeper: sa.Connection, name: str) -> None:
        """Drops the schema and all that is in it."""

    @abstractmethod
    def try_hold(self, keeper: sa.Connection, name: str) -> bool:
        """Takes the advisory lock of that name for as long as `keeper` lives; False where another holds it."""

    def carry_rows(self, target: sa.Connection, source: sa.Connection) -> None:
        """Copies the few rows that revisions go by."""
        for name in self._carried:
            if sa.inspect(source).has_table(name):
                table = sa.Table(name, sa.MetaData(), autoload_with=source)
                rows = [dict(row) for row in source.execute(sa.select(table)).mappings()]
                if rows:
                    target.execute(table.insert(), rows)

    def _hold(self, keeper: sa.Connection, name: str) -> None:
        if not self.try_hold(keeper, name):
            raise RefusedError(f"The scratch schema {name} is held by another.")
        keeper.rollback()

    def _drop_leftovers(self, keeper: sa.Connection) -> None:
        names = list(keeper.exec_driver_sql(self.listing).scalars())
        keeper.rollback()
        for name in names:
            if self.try_hold(keeper, name):
                self._drop(keeper, name)

    def _drop(self, keeper: sa.Connection, name: str) -> None:
        keeper.rollback()
        self.drop(keeper, name)
        keeper.commit()


class MySQLScratch(ScratchMaker):
    """A database of its own; tables by SHOW CREATE TABLE, foreign keys and all."""

    current = "SELECT DATABASE()"
    listing = f"SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '{PREFIX}%%'"

    def url(self, url: sa.URL, name: str | None) -> sa.URL:
        """The database is part of the URL."""
        return url.set(database=name) if name else url

    def create(self, keeper: sa.Connection, source: sa.Connection, name: str) -> None:
        """With the character set and the collation of the original."""
        query = "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        charset, collation = source.exec_driver_sql(f"{query} WHERE schema_name = DATABASE()").one()
        keeper.exec_driver_sql(f"CREATE DATABASE `{name}` CHARACTER SET {charset} COLLATE {collation}")

    def fill(self, target: sa.Connection, source: sa.Connection, schema: str) -> None:
        """In any order, since nothing is checked meanwhile."""
        target.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        for name in sa.inspect(source).get_table_names():
            if is_copied(name, self._carried):
                text = source.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one()[1]
                target.exec_driver_sql(text.replace("%", "%%"))
        self.carry_rows(target, source)
        target.exec_driver_sql("SET SESSION foreign_key_checks = 1")

    def load(self, target: sa.Connection, script: Sequence[str]) -> None:
        """In any order, too."""
        target.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        super().load(target, script)
        target.exec_driver_sql("SET SESSION foreign_key_checks = 1")

    def schemas(self, source: sa.Connection) -> list[str]:
        """Databases."""
        return [name for name in sa.inspect(source).get_schema_names() if name != "information_schema"]

    def drop(self, keeper: sa.Connection, name: str) -> None:
        """DROP DATABASE."""
        keeper.exec_driver_sql(f"DROP DATABASE IF EXISTS `{name}`")

    def try_hold(self, keeper: sa.Connection, name: str) -> bool:
        """GET_LOCK."""
        return keeper.execute(sa.text("SELECT GET_LOCK(:name, 0)"), {"name": name}).scalar() == 1


def is_copied(table: str, carried: Sequence[str]) -> bool:
    """Whether a table belongs into the copy: the application's, and those whose rows come along."""
    return table in carried or not table.startswith("chatctl_")
