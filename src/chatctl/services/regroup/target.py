"""What a regrouping works on, and what it must find there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatctl.domain.grouping import Grouping, NullKeys, Title, gap_seconds, instant
from chatctl.errors import CannotConnectError, MissingEntityError, UsageError
from chatctl.layouts.model import Layout
from chatctl.services.transfer.output import file_errors
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import columns_present, take_snapshot
from chatctl.stores.sql.journal import Journal, Run
from chatctl.stores.sql.regroup import Scheme, WorkTables
from chatctl.stores.sql.regroup.scheme import Baseline, TableName, rule_of
from chatctl.stores.sql.tables import LayoutTables

#: What the journal calls these runs.
KIND = "regroup run"
UNDO_KIND = "regroup undo"


@dataclass(frozen=True)
class Request:
    """The options of a regrouping as they were typed; None means the layout's own word."""

    by: str | None = None
    gap: str | None = None
    null_keys: str = "standalone"
    title: str = "mentor"
    user: str | None = None
    since: str | None = None
    until: str | None = None
    mapping: Path | None = None


@dataclass(frozen=True)
class RegroupTarget:
    """A database, the layout that it is read by, and its journal."""

    database: Database
    layout: Layout
    journal: Journal

    @cached_property
    def tables(self) -> LayoutTables:
        """The layout's tables while messages still name their owners."""
        return LayoutTables(self.layout)

    def grouping(self, request: Request) -> Grouping:
        """What `request` asks for. Raises UsageError where it can't be read, MissingEntityError without a rule."""
        rule = rule_of(self.layout)
        null_keys: dict[str, NullKeys] = {"standalone": "standalone", "general": "general"}
        titles: dict[str, Title] = {"mentor": "mentor", "first-message": "first-message", "none": "none"}
        if request.null_keys not in null_keys:
            raise UsageError(f"--null-mentor is standalone or general, not '{request.null_keys}'.")
        if request.title not in titles:
            raise UsageError(f"--title is mentor, first-message or none, not '{request.title}'.")
        return Grouping(
            by=self._keys(request.by) if request.by else tuple(rule.by),
            gap_seconds=gap_seconds(request.gap or rule.gap or "none"),
            null_keys=null_keys[request.null_keys],
            title=titles[request.title],
            user=request.user,
            since=instant(request.since) if request.since else None,
            until=instant(request.until) if request.until else None,
            mapping=self._digest(request.mapping) if request.mapping else None,
        )

    def scheme(self, grouping: Grouping, run: Run | None = None) -> Scheme:
        """What the layout's columns mean to `grouping` on this engine; in `run`, with what that has noted."""
        baseline = Baseline.from_json(run.totals["before"]) if run else None
        mapping = TableName.of(run.id, "mapping", self.journal.schema) if run else None
        named = self._mentors_have_names
        return Scheme(
            self.layout, self.tables, self.database.dialect, grouping, baseline, mapping, mentors_have_names=named
        )

    def work_tables(self, run: Run, scheme: Scheme) -> WorkTables:
        """What `run` keeps beside the data."""
        return WorkTables(run.id, scheme, self.journal.schema)

    def snapshot(self, connection: sa.Connection) -> Mapping[str, str]:
        """The schema of the tables that a regrouping reads and writes."""
        return take_snapshot(connection, {table.name for table in map(self.tables.__getitem__, self.tables)})

    def require(self, connection: sa.Connection, scheme: Scheme) -> None:
        """Raises MissingEntityError, naming it, where the database lacks a table or column that is needed."""
        present = columns_present(self.snapshot(connection))
        needed: dict[str, list[sa.Column[Any]]] = {
            scheme.messages.name: [scheme.id, scheme.link, *(scheme.messages.c[key] for key in scheme.grouping.by)],
            scheme.chats.name: [scheme.chat_id],
        }
        for table, columns in needed.items():
            missing = [column.name for column in columns if column.name not in present.get(table, set())]
            if missing:
                raise MissingEntityError(
                    f"{self.database.where} has no {table}.{missing[0]}." if table in present
                    else f"{self.database.where} has no table '{table}'.",
                    hint="chatctl migrate up brings what chats need; chatctl migrate status tells where it stands.",
                )  # fmt: skip

    def require_database(self) -> None:
        """Raises CannotConnectError where the database is a file that isn't there."""
        if not self.database.exists:
            raise CannotConnectError(f"{self.database.where}: there is no such file.", hint="Check the path.")

    def compared(self, connection: sa.Connection, scheme: Scheme) -> tuple[str, ...]:
        """The message's columns that a regrouping must leave alone, as far as this database has them."""
        present = columns_present(self.snapshot(connection)).get(scheme.messages.name, set())
        changed = {scheme.link_key, *scheme.filled}
        return tuple(key for key, column in scheme.messages.c.items() if key not in changed and column.name in present)

    @cached_property
    def _mentors_have_names(self) -> bool:
        """An application may have named its mentors elsewhere."""
        if "mentors" not in self.tables or "name" not in self.tables["mentors"].c:
            return False
        mentors = self.tables["mentors"]
        with self.database.reading() as connection:
            present = columns_present(take_snapshot(connection, {mentors.name}))
        return mentors.c.name.name in present.get(mentors.name, set())

    def _digest(self, file: Path) -> str:
        if not rule_of(self.layout).defaults:
            raise UsageError(f"Messages of the layout '{self.layout.name}' say whose they are: leave --mapping out.")
        with file_errors(str(file)), file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _keys(self, text: str) -> tuple[str, ...]:
        source = self.layout.entity(rule_of(self.layout).source)
        names = {column.name: key for key, column in source.columns.items()}
        keys = tuple(names.get(word.strip(), word.strip()) for word in text.split(","))
        unknown = [key for key in keys if key not in source.columns]
        if unknown:
            raise UsageError(
                f"Messages have no column '{unknown[0]}'.", hint=f"They have: {', '.join(source.columns)}."
            )
        return keys
