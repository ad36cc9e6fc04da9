"""Databases of conversations of any age, for the tests of purge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.support.migrated import Migrated

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Result
from chatctl.domain.retention import Retention
from chatctl.layouts import Column, Kind, Layout, Phase, load_layout
from chatctl.services.purge import running
from chatctl.services.purge.target import PurgeRequest, PurgeTarget
from chatctl.stores.archive_folder import ArchiveFolder
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.tables import LayoutTables

#: What the tests take for now.
NOW = datetime(2026, 6, 15, 12, 0, 0, 123_000, tzinfo=UTC)
DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(eq=False)
class PurgeBed:
    """A database at the expand phase of `layout`, with conversations put in by hand, and purges to run on it."""

    url: str
    layout: Layout
    folder: Path
    now: datetime = NOW
    retention: Retention = field(default_factory=lambda: Retention.of_days(30))

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        self.tables = LayoutTables(self.layout)
        self._messages = 0

    def migrate(self) -> PurgeBed:
        """Makes the layout's tables."""
        Migrated(self.layout, self.database).up_to(Phase.EXPAND)
        return self

    @property
    def target(self) -> PurgeTarget:
        """What the services work on."""
        return PurgeTarget(
            self.database,
            self.layout,
            Journal(self.database),
            ArchiveFolder(self.folder / "archives"),
            self.retention,
            clock=lambda: self.now,
        )

    def add(
        self, name: str, accessed: datetime | None, *, account: str = "a1", messages: int = 2, **values: Any
    ) -> None:
        """A conversation last accessed then, with messages as old."""
        rule = self.layout.purge
        assert rule is not None
        given = {rule.clock: accessed, "id": self.key(name), "chat_id": name, **values}
        if rule.account:
            given[rule.account] = account
        with self.database.begin() as connection:
            self._insert(connection, rule.what, given)
            parent = given | {"id": self.key(name)}
            for _ in range(messages):
                self._messages += 1
                for child in rule.children:
                    join = self.layout.join(child, rule.what)
                    theirs = {own: parent[its] for own, its in join.items()}
                    own = {
                        "id": self.message_key(child),
                        "position": self._messages,
                        "created_at": accessed or NOW - 90 * DAY,
                    }
                    self._insert(connection, child, {**own, **theirs})

    def key(self, name: str) -> Any:
        """The primary key of the conversation called `name`."""
        assert self.layout.purge is not None
        column = self.layout.entities[self.layout.purge.what].columns["id"]
        return _number(name) if column.type.kind in (Kind.INTEGER, Kind.BIGINT) else name

    def message_key(self, child: str) -> Any:
        """A key for the next message."""
        column = self.layout.entities[child].columns.get("id")
        numbered = column is not None and column.type.kind in (Kind.INTEGER, Kind.BIGINT)
        return self._messages if numbered else f"message-{self._messages}"

    def names(self, *candidates: str) -> set[str]:
        """Those of `candidates` that are there."""
        assert self.layout.purge is not None
        table = self.tables[self.layout.purge.what]
        with self.database.connect() as connection:
            found = set(connection.scalars(sa.select(table.c.id)))
        return {name for name in candidates if self.key(name) in found}

    def count(self, entity: str) -> int:
        """The rows of `entity`."""
        with self.database.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(self.tables[entity])) or 0

    def fingerprints(self) -> dict[str, tuple[int, str]]:
        """The content of the tables that a purge touches."""
        assert self.layout.purge is not None
        with self.database.connect() as connection:
            return {
                key: self.database.dialect.fingerprint(connection, self.tables[key])
                for key in (self.layout.purge.what, *self.layout.purge.children)
            }

    def touch(self, name: str, accessed: datetime | None) -> None:
        """The application reads or writes the conversation."""
        rule = self.layout.purge
        assert rule is not None
        table = self.tables[rule.what]
        with self.database.begin() as connection:
            connection.execute(table.update().where(table.c.id == self.key(name)).values({rule.clock: accessed}))

    def purge(self, batch_size: int | None = None, **options: Any) -> Result:
        """Runs a purge to its end."""
        attendance = running.Attendance(SilentProgress(), StopSignal(), batch_size=batch_size)
        return running.run(self.target, PurgeRequest(**options), attendance)

    def close(self) -> None:
        self.database.close()

    def _insert(self, connection: sa.Connection, entity: str, given: dict[str, Any]) -> None:
        declared = self.layout.entities[entity].columns_at(Phase.EXPAND)
        row = {key: _value(column) for key, column in declared.items() if not (column.nullable or column.auto)}
        row |= {key: value for key, value in given.items() if key in declared}
        for key, column in declared.items():
            if column.references and column.enforced and row.get(key) is not None:
                self._ensure_parent(connection, column.references, row[key])
        connection.execute(self.tables[entity].insert().values(row))

    def _ensure_parent(self, connection: sa.Connection, reference: str, value: Any) -> None:
        parent, _, key = reference.partition(".")
        table = self.tables[parent]
        column = table.c[key or self.layout.entities[parent].primary_key[0]]
        if connection.execute(sa.select(column).where(column == value)).first() is None:
            self._insert(connection, parent, {column.key: value})


def bed(url: str, layout: str, folder: Path) -> PurgeBed:
    """An empty database of `layout` at its expand phase."""
    return PurgeBed(url, load_layout(layout), folder).migrate()


def _number(name: str) -> int:
    return int.from_bytes(name.encode()[-3:], "big")


def _value(column: Column) -> Any:
    if column.choices:
        return column.choices[0]
    simple: dict[Kind, Any] = {
        Kind.INTEGER: 7, Kind.BIGINT: 7, Kind.BOOLEAN: False, Kind.FLOAT: 0.5, Kind.DECIMAL: 1,
        Kind.JSON: {"a": [1, "ü 😀"]}, Kind.DATETIME: NOW, Kind.EPOCH: NOW,
    }  # fmt: skip
    return simple.get(column.type.kind, "x")
