"""The portable form of the SQL part: a layout's rows as JSON lines, which every engine gives back alike.

Each table is a file of its own. The schema isn't in it: the layout's revisions make it. A fingerprint is computed of
the lines, so it is the same on every engine, whatever the order of the rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import sqlalchemy as sa

from chatctl.domain.backups import TableState
from chatctl.errors import IntegrityError, MissingEntityError, RefusedError, RowRefusedError
from chatctl.layouts.model import Layout
from chatctl.observe.fail_points import fail_point
from chatctl.services.migrate.target import MigrationTarget
from chatctl.services.transfer.exporting import pages
from chatctl.services.transfer.formats import Format
from chatctl.services.transfer.output import whole_file
from chatctl.services.transfer.readers import RowSource
from chatctl.services.transfer.target import TransferTable, TransferTarget
from chatctl.services.transfer.writers import RowWriter
from chatctl.stores.sql.dumps import Dumped, Dumper, DumpOptions
from chatctl.stores.sql.inspection import columns_present, take_snapshot
from chatctl.stores.sql.tables import LayoutTables

_SUFFIX = ".jsonl.zst"
_MASK = 2**128 - 1
#: A NUL as JSON writes it, and not a backslash followed by `u0000`.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class PortableDump:
    """Writes the rows of `target`'s layout and loads them; `native` is the driver of its engine."""

    def __init__(self, target: MigrationTarget, native: Dumper) -> None:
        self._target = target
        self._native = native

    def dump(self, folder: Path, options: DumpOptions) -> Dumped:
        """A file for each table, all of one snapshot."""
        with self._native.snapshot() as connection:
            tables = self._tables(connection)
            states = {
                each.entity.table: self._write(connection, each, folder / f"{each.key}{_SUFFIX}") for each in tables
            }
        return Dumped(self._target.database.dialect.title, "JSON lines", states)

    def load(self, folder: Path, revision: str | None) -> None:
        """Makes the schema by the layout's revisions up to `revision`, then loads every file."""
        self._make_schema(revision)
        with self._native.snapshot() as connection:
            tables = self._tables(connection)
        for table in tables:
            self._read(table, folder / f"{table.key}{_SUFFIX}")
            fail_point("restore.table_loaded")

    def census(self) -> dict[str, TableState]:
        """The state of every table, by writing its rows into nothing."""
        with self._native.snapshot() as connection:
            return {each.entity.table: self._send(connection, each, _Digest(None)) for each in self._tables(connection)}

    def _tables(self, connection: sa.Connection) -> list[TransferTable]:
        """The layout's tables that are there, parents before their children.

        Raises MissingEntityError where one has a column that the layout doesn't know: it would be left out.
        """
        layout = self._target.layout
        present = columns_present(take_snapshot(connection, self._target.tables))
        tables = LayoutTables(layout, present=present)
        for key in tables:
            entity = layout.entity(key)
            unknown = present[entity.table] - {column.name for column in entity.columns.values()}
            if unknown:
                raise MissingEntityError(
                    f"'{entity.table}' has columns that layout '{layout.name}' doesn't know:"
                    f" {', '.join(sorted(unknown))}.",
                    hint="A portable backup would leave them out: take one without --portable.",
                )
        transfer = TransferTarget(self._target.database, layout, self._target.journal)
        return [transfer.table(key) for key in _parents_first(layout, tables)]

    def _write(self, connection: sa.Connection, table: TransferTable, path: Path) -> TableState:
        with whole_file(path) as stream:
            return self._send(connection, table, _Digest(stream))

    def _send(self, connection: sa.Connection, table: TransferTable, digest: _Digest) -> TableState:
        writer = RowWriter(cast(BinaryIO, digest), table.entity, table.columns, Format.JSONL)
        for rows in pages(connection, self._target.database.dialect, table):
            writer.write(rows)
            digest.require_no_nul(table.entity.table)
        return TableState(writer.count, digest.value)

    def _make_schema(self, revision: str | None) -> None:
        database, revisions = self._target.database, self._target.revisions
        for each in revisions.between(None, revision):
            changing = database.dialect.changing_schema
            with database.translating(), database.engine.connect() as connection, changing(connection):
                revisions.run(connection, each, "up")
                if connection.in_transaction():
                    connection.commit()
            fail_point("restore.revision_applied")

    def _read(self, table: TransferTable, path: Path) -> None:
        database = self._target.database
        for chunk in RowSource.open([str(path)], table.entity, table.columns):
            if chunk.rejects:
                raise IntegrityError(f"'{table.entity.table}': {chunk.rejects[0].reason}.")
            try:
                with database.begin() as connection:
                    database.dialect.bulk_insert(connection, table.table, table.columns, chunk.rows)
            except RowRefusedError as problem:
                reason = problem.message
                raise RefusedError(f"'{table.entity.table}' doesn't take what was backed up: {reason}") from problem
        with database.begin() as connection:
            database.dialect.advance_sequence(connection, table.table)


class _Digest:
    """A stream that sums a hash of each line that passes, and hands it on where there is somebody to take it."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._total = 0
        self._has_nul = False

    @property
    def value(self) -> str:
        """The sum so far, which doesn't depend on the order of the lines."""
        return f"{self._total & _MASK:032x}"

    def write(self, data: bytes) -> int:
        """Whole lines, as RowWriter writes them."""
        for line in data.splitlines():
            self._total += int.from_bytes(hashlib.blake2b(line, digest_size=16).digest(), "little")
        if b"\\u0000" in data and _NUL.search(data):
            self._has_nul = True
        if self._stream is not None:
            self._stream.write(data)
        return len(data)

    def require_no_nul(self, table: str) -> None:
        """Raises IntegrityError where a text holds the character NUL, which PostgreSQL can't keep."""
        if self._has_nul:
            raise IntegrityError(
                f"A text in '{table}' holds the character NUL, which not every engine can keep.",
                hint="Remove it, or take a backup without --portable.",
            )


def _parents_first(layout: Layout, keys: Iterable[str]) -> Iterator[str]:
    """The entities in an order in which a row's parents are there before it."""
    left, done = list(keys), set[str]()
    while left:
        ready = [key for key in left if all(p in done or p == key or p not in left for p in _parents(layout, key))]
        # Tables that refer to each other in a circle come as the layout names them.
        for key in ready or left[:1]:
            yield key
            done.add(key)
            left.remove(key)


def _parents(layout: Layout, key: str) -> set[str]:
    entity = layout.entity(key)
    referenced = {str(column.references).partition(".")[0] for column in entity.columns.values() if column.references}
    return referenced | set(entity.belongs_to)
