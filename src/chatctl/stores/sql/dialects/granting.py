"""What an account needs to be allowed, in each engine's words: as GRANT statements, and as a question to the server."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import sqlalchemy as sa

from chatctl.stores.sql.dialects.scratch import PREFIX as SCRATCH_PREFIX
from chatctl.stores.sql.dumps.base import SCRATCH_PREFIX as DRILL_PREFIX

_OWN_PREFIX = "chatctl_"
_WORK = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX")
_CHANGE = (*_WORK, "REFERENCES")
# Without TRIGGER a dump leaves triggers out, and says nothing.
_DUMP = ("SELECT", "SHOW VIEW", "TRIGGER")
_RESTORE = (*_CHANGE, "CREATE VIEW", "SHOW VIEW", "TRIGGER", "LOCK TABLES")

_SERVERS_OWN = ("information_schema", "public")
#: Who owns anything in the database that a restore drops.
_OWNERS = sa.text("""
    WITH ours AS (
        SELECT oid, nspname, nspowner FROM pg_namespace
         WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema')
    SELECT pg_get_userbyid(relowner) FROM pg_class JOIN ours ON ours.oid = relnamespace
    UNION SELECT pg_get_userbyid(proowner) FROM pg_proc JOIN ours ON ours.oid = pronamespace
    UNION SELECT pg_get_userbyid(typowner) FROM pg_type JOIN ours ON ours.oid = typnamespace
    UNION SELECT pg_get_userbyid(nspowner) FROM ours WHERE nspname <> 'public'
""")


@dataclass(frozen=True)
class Need:
    """What an account needs: privileges on tables of the application, and what becomes of chatctl's own tables.

    `own_schema` holds these, or the application's own where it is None. `changes_schema` asks for changes to
    `layout_tables` themselves, `scratch` for schemas to try changes in, `dumps` for what a dump program asks besides,
    `restores` for dropping and making anew all that is there, and `drills` for databases to restore into beside it.
    """

    tables: Mapping[str, Sequence[str]]
    own: Literal["read", "work"] | None
    own_schema: str | None
    changes_schema: bool
    layout_tables: Sequence[str]
    scratch: bool
    dumps: bool
    restores: bool
    drills: bool


@dataclass(frozen=True)
class Demand:
    """Privileges on one thing: `statement` gives them to an account, `missing` are those that this account lacks."""

    statement: str
    missing: tuple[str, ...]


def demands(connection: sa.Connection, need: Need, account: str) -> list[Demand]:
    """What `account` needs of the database at the other end, and what the connected account lacks of it.

    Empty where the engine has no accounts. Tables that aren't there yet are left out.
    """
    kind = _ENGINES.get(connection.dialect.name)
    return list(kind(connection, need, account).demands()) if kind else []


class _Engine(ABC):
    def __init__(self, connection: sa.Connection, need: Need, account: str) -> None:
        self.connection = connection
        self.need = need
        self.account = account

    @abstractmethod
    def demands(self) -> Iterator[Demand]:
        """Each demand in the engine's words."""

    @cached_property
    def there(self) -> set[str]:
        """The tables of the application's schema."""
        return set(sa.inspect(self.connection).get_table_names())


class _MySQL(_Engine):
    _GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<database>\*|`(?:[^`]|``)+`)\.(?P<table>\*|`(?:[^`]|``)+`) TO ")

    def demands(self) -> Iterator[Demand]:
        need, database = self.need, self.connection.engine.url.database or ""
        own = need.own_schema or database
        whole = need.restores or need.changes_schema
        if whole:
            yield self._demand(_RESTORE if need.restores else _CHANGE, database)
        for table, privileges in need.tables.items():
            if table in self.there:
                yield self._demand(privileges, database, table)
        if need.own == "work" and not (whole and own == database):
            # A grant can't be limited to names that begin alike; a journal schema of its own narrows it.
            yield self._demand(_WORK, own)
        if need.own == "read":
            yield self._demand(("SELECT",), own)
        if need.scratch:
            yield self._demand(_CHANGE, _beginning(SCRATCH_PREFIX))
        if need.drills:
            yield self._demand(_RESTORE, _beginning(DRILL_PREFIX))
        if need.dumps:
            yield self._demand(_DUMP, database)

    def _demand(self, privileges: Sequence[str], database: str, table: str | None = None) -> Demand:
        place = f"{_back(database)}.{_back(table) if table else '*'}"
        held = {name for name, pattern, on in self._held if _matches(pattern, database) and on in (None, table)}
        missing = (
            () if "ALL PRIVILEGES" in held else tuple(f"{name} on {place}" for name in privileges if name not in held)
        )
        return Demand(f"GRANT {', '.join(privileges)} ON {place} TO '{self.account}'@'%'", missing)

    @cached_property
    def _held(self) -> list[tuple[str, str | None, str | None]]:
        """Each privilege of this account with its database's pattern and its table, None for all."""
        found: list[tuple[str, str | None, str | None]] = []
        for text in self.connection.exec_driver_sql("SHOW GRANTS").scalars():
            match = self._GRANT.match(str(text))
            if match:
                place = _unback(match["database"]), _unback(match["table"])
                found += [(name, *place) for name in match["what"].split(", ")]
        return found


def _beginning(prefix: str) -> str:
    """The pattern of databases whose names begin so."""
    return prefix.replace("_", r"\_") + "%"


def _back(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _unback(name: str) -> str | None:
    return None if name == "*" else name[1:-1].replace("``", "`")


def _matches(pattern: str | None, database: str) -> bool:
    if pattern is None or pattern == database:
        return True
    wild = re.escape(pattern).replace(r"\\_", "\0").replace(r"\\%", "\1").replace("_", ".").replace("%", ".*")
    return re.fullmatch(wild.replace("\0", "_").replace("\1", "%"), database) is not None


class _PostgreSQL(_Engine):
    def demands(self) -> Iterator[Demand]:
        need, schema = self.need, self._schema
        yield self._asked("schema", schema, ("USAGE",))
        if need.changes_schema:
            # Only a table's owner can alter it, and so whoever is a member of the owner.
            for owner in self._owners([table for table in need.layout_tables if table in self.there]):
                yield self._membership(owner)
            yield self._asked("schema", schema, ("CREATE",))
        if need.restores:
            yield from self._restored(schema)
        for table, privileges in need.tables.items():
            if table in self.there:
                yield self._asked("table", f"{_quoted(schema)}.{_quoted(table)}", privileges)
        inserts = any("INSERT" in privileges for privileges in need.tables.values())
        sequences = sa.inspect(self.connection).get_sequence_names() if inserts else []
        for name in sequences:
            yield self._asked("sequence", f"{_quoted(schema)}.{_quoted(name)}", ("USAGE", "SELECT", "UPDATE"))
        if need.own is not None:
            yield from self._own(need.own_schema or schema)
        if need.scratch:
            yield self._asked("database", self.connection.engine.url.database or "", ("CREATE",))
        if need.drills:
            able = self.connection.scalar(
                sa.text("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            )
            yield Demand(f"ALTER ROLE {_quoted(self.account)} CREATEDB", () if able else ("CREATEDB",))

    def _restored(self, schema: str) -> Iterator[Demand]:
        """Only its owner can drop what is there, and only a member can give it back to its owner."""
        owners = {str(owner) for owner in self.connection.scalars(_OWNERS)}
        for owner in sorted(owners - {self.account}):
            yield self._membership(owner)
        if not self.need.changes_schema:
            yield self._asked("schema", schema, ("CREATE",))
        if not self.need.scratch and set(sa.inspect(self.connection).get_schema_names()) - {schema, *_SERVERS_OWN}:
            # The other schemas are made anew too.
            yield self._asked("database", self.connection.engine.url.database or "", ("CREATE",))

    @property
    def _schema(self) -> str:
        return sa.inspect(self.connection).default_schema_name or "public"

    def _own(self, schema: str) -> Iterator[Demand]:
        need, inspector = self.need, sa.inspect(self.connection)
        works = need.own == "work"
        if need.own_schema is not None:
            if schema not in inspector.get_schema_names():
                if works:
                    create = f"CREATE SCHEMA {_quoted(schema)} AUTHORIZATION {_quoted(self.account)}"
                    yield Demand(create, (f"a schema {schema}",))
                return
            yield self._asked("schema", schema, ("USAGE",))
        if works and not ((need.changes_schema or need.restores) and schema == self._schema):
            yield self._asked("schema", schema, ("CREATE",))
        privileges = ("SELECT", "INSERT", "UPDATE", "DELETE") if works else ("SELECT",)
        for table in sorted(inspector.get_table_names(schema)):
            # What the account made itself is its own.
            if table.startswith(_OWN_PREFIX) and self._owners([table], schema) != {self.account}:
                yield self._asked("table", f"{_quoted(schema)}.{_quoted(table)}", privileges)

    def _asked(self, kind: str, name: str, privileges: Sequence[str]) -> Demand:
        question = sa.text(f"SELECT has_{kind}_privilege(:name, :privilege)")
        missing = tuple(
            f"{privilege} on {kind} {name}"
            for privilege in privileges
            if not self.connection.scalar(question, {"name": name, "privilege": privilege})
        )
        place = _quoted(name) if kind in ("schema", "database") else name
        return Demand(f"GRANT {', '.join(privileges)} ON {kind.upper()} {place} TO {_quoted(self.account)}", missing)

    def _membership(self, owner: str) -> Demand:
        member = self.connection.scalar(sa.text("SELECT pg_has_role(:owner, 'USAGE')"), {"owner": owner})
        missing = () if member else (f"membership in {owner}, who owns the tables",)
        return Demand(f"GRANT {_quoted(owner)} TO {_quoted(self.account)}", missing)

    def _owners(self, tables: Sequence[str], schema: str | None = None) -> set[str]:
        query = sa.text(
            "SELECT DISTINCT tableowner FROM pg_tables"
            " WHERE schemaname = COALESCE(:schema, current_schema()) AND tablename = ANY(:tables)"
        )
        found = self.connection.scalars(query, {"schema": schema, "tables": list(tables)})
        return {str(owner) for owner in found} - {self.account}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_ENGINES: dict[str, type[_Engine]] = {"mysql": _MySQL, "mariadb": _MySQL, "postgresql": _PostgreSQL}
