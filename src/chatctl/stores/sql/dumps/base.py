"""What a dump driver does, and which one serves a database. Knows no repository and no manifest's file."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from chatctl.domain.backups import TableState
from chatctl.errors import ConfigurationError, NotFoundError
from chatctl.stores.sql.database import Database

#: Says in the database that a restore into it isn't finished. Never part of a dump.
MARKER_TABLE = "chatctl_restoring"
#: What scratch databases are called.
SCRATCH_PREFIX = "chatctl_drill_"

_DRIVERS = {
    "sqlite": ("sqlite", "SQLiteDumper"),
    "mariadb": ("mariadb", "MariaDBDumper"),
    "mysql": ("mariadb", "MySQLDumper"),
    "postgresql": ("postgresql", "PostgreSQLDumper"),
}


@dataclass(frozen=True)
class DumpOptions:
    """What to dump (None: everything) and how. A `level` of None is the driver's own choice."""

    tables: Collection[str] | None = None
    jobs: int = 2
    level: int | None = None


@dataclass(frozen=True)
class Dumped:
    """What was dumped: the server's and the tool's versions, and each table's state at the dump's one point."""

    server: str
    tool: str
    tables: Mapping[str, TableState]


class Dumper(ABC):
    """Dumps and loads `database`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @abstractmethod
    def dump(self, folder: Path, options: DumpOptions) -> Dumped:
        """Writes the files into the empty `folder`, all of one consistent snapshot, while writers go on."""

    @abstractmethod
    def load(self, folder: Path, *, tables: Collection[str] | None = None, elsewhere: bool, jobs: int = 2) -> None:
        """Loads what `dump` wrote, or just `tables` of it, where `clear` has made room.

        `elsewhere` says that it is not the database that was dumped: owners and grants are left out then.
        """

    @abstractmethod
    def census(self, tables: Collection[str] | None = None) -> dict[str, TableState]:
        """The state of every table (or of those), as `dump` tells it."""

    @abstractmethod
    def clear(self, tables: Collection[str] | None = None) -> None:
        """Drops everything that a dump holds, or just `tables`; the marker stays."""

    def empty(self) -> None:
        """Drops everything, whoever loads what afterwards; the marker stays."""
        self.clear()

    @abstractmethod
    def scratch(self) -> AbstractContextManager[Database]:
        """An empty database of the same kind, dropped at the end."""

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the database, while writers go on."""
        steady = self.database.engine.execution_options(isolation_level="REPEATABLE READ")
        with self.database.translating(), steady.connect() as connection:
            yield connection

    def occupied(self) -> list[str]:
        """The tables that are there, chatctl's marker left out."""
        if not self.database.exists:
            return []
        with self.database.connect() as connection:
            names = sa.inspect(connection).get_table_names()
        return sorted(name for name in names if name != MARKER_TABLE)

    def require_tables(self, names: Collection[str]) -> None:
        """Raises NotFoundError where one of them isn't there."""
        missing = sorted(set(names) - set(self.occupied()))
        if missing:
            raise NotFoundError(f"{self.database.where} has no table {', '.join(missing)}.")


def dumper_for(database: Database) -> Dumper:
    """The driver of `database`."""
    module, class_name = _DRIVERS[database.dialect.name]
    found = importlib.import_module(f"chatctl.stores.sql.dumps.{module}")
    dumper: Dumper = getattr(found, class_name)(database)
    return dumper


def require_same_engine(database: Database, engine: str) -> None:
    """Raises ConfigurationError where a dump of `engine` can't be loaded into `database`."""
    if _DRIVERS.get(engine, ("",))[0] != _DRIVERS[database.dialect.name][0]:
        raise ConfigurationError(
            f"The backup is of {engine}, and {database.where} is another engine.",
            hint="A backup is restored into its own engine.",
        )
