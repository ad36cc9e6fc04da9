"""Where purged conversations are kept: the index of all archives, and those whose lines stand in a table.

The index is written in the transaction that deletes: what it doesn't list was never deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from chatctl.errors import IntegrityError
from chatctl.stores.archive_folder import ArchiveFolder
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.journal.runs import now_ms
from chatctl.stores.sql.purge.tables import purge_tables

Place = Literal["file", "table"]

_CHUNK = 500


@dataclass(frozen=True)
class Archive:
    """One archived batch: where it is, how much it holds, and its checksum."""

    run_id: str
    number: int
    place: Place
    file: str | None
    chats: int
    row_count: int
    bytes: int
    sha256: str
    made_ms: int


class Archives:
    """The archives beside `journal`, with files in `folder`."""

    def __init__(self, journal: Journal, folder: ArchiveFolder) -> None:
        tables = purge_tables(journal.schema)
        self._index = tables.archives
        self._lines = tables.lines
        self._runs = journal.tables.runs
        self.folder = folder

    def write(
        self, connection: sa.Connection, run_id: str, number: int, place: Place, lines: Iterable[str], chats: int
    ) -> Archive:
        """Archives one batch as part of the caller's transaction; a file is durable before this returns."""
        if place == "file":
            file = self.folder.write(run_id, number, lines)
            made = Archive(run_id, number, place, file.name, chats, file.lines - 1, file.bytes, file.sha256, now_ms())
        else:
            # All lines first: the connection that reads the rows can't write in between.
            made = self._write_lines(connection, run_id, number, list(lines), chats)
        connection.execute(self._index.insert().values(**made.__dict__))
        return made

    def all(self, connection: sa.Connection, run_id: str | None = None) -> list[Archive]:
        """The archives, of one run where that is given, oldest first."""
        column = self._index.c
        query = sa.select(self._index).order_by(column.run_id, column.number)
        rows = connection.execute(query if run_id is None else query.where(column.run_id == run_id))
        return [Archive(**row._mapping) for row in rows]

    def read(self, connection: sa.Connection, archive: Archive) -> Iterator[str]:
        """The lines of an archive, its checksum found right first. Raises NotFoundError, IntegrityError."""
        if archive.file is not None:
            return self.folder.read(archive.file, archive.sha256)
        self.verify(connection, archive)
        return iter(self._content(connection, archive))

    def verify(self, connection: sa.Connection, archive: Archive) -> None:
        """Raises NotFoundError or IntegrityError where the archive isn't what was written."""
        if archive.file is not None:
            self.folder.verify(archive.file, archive.sha256)
        elif _digest(self._content(connection, archive)) != archive.sha256:
            raise IntegrityError(
                f"The archive {archive.number} of run {archive.run_id} is damaged: its lines in the table changed.",
                hint="Nothing was taken from it.",
            )

    def replace(self, connection: sa.Connection, archive: Archive, lines: Sequence[str], chats: int) -> str:
        """Writes an archive anew, as an erasure does; one without a conversation is taken off the index.

        Returns the old file, which is to be removed once the transaction is committed; "" where there is none.
        """
        column = self._lines.c
        connection.execute(self._lines.delete().where(column.run_id == archive.run_id, column.number == archive.number))
        own = sa.and_(self._index.c.run_id == archive.run_id, self._index.c.number == archive.number)
        if not chats:
            connection.execute(self._index.delete().where(own))
            return archive.file or ""
        values: dict[str, Any]
        if archive.file is not None:
            file = self.folder.write(archive.run_id, archive.number, lines, again=True)
            values = {"file": file.name, "bytes": file.bytes, "sha256": file.sha256, "row_count": file.lines - 1}
        else:
            made = self._write_lines(connection, archive.run_id, archive.number, lines, chats)
            values = {"bytes": made.bytes, "sha256": made.sha256, "row_count": made.row_count}
        connection.execute(self._index.update().where(own).values(**values, chats=chats))
        return archive.file or ""

    def remove_unlisted(self, connection: sa.Connection) -> int:
        """Removes files that no committed batch lists: what tries left that never committed, and what was replaced."""
        names = [archive.file for archive in self.all(connection) if archive.file is not None]
        # Other databases may keep their archives in the same folder: only this journal's runs are looked at.
        runs = set(connection.scalars(sa.select(self._runs.c.id)))
        left = [name for name in self.folder.unlisted(names) if name.partition("/")[0] in runs]
        for name in left:
            self.folder.remove(name)
        return len(left)

    def _write_lines(
        self, connection: sa.Connection, run_id: str, number: int, lines: Sequence[str], chats: int
    ) -> Archive:
        for start in range(0, len(lines), _CHUNK):
            rows = [
                {"run_id": run_id, "number": number, "line": place, "content": line}
                for place, line in enumerate(lines[start : start + _CHUNK], start)
            ]
            connection.execute(self._lines.insert(), rows)
        size = sum(len(line.encode(errors="surrogatepass")) for line in lines)
        return Archive(run_id, number, "table", None, chats, len(lines) - 1, size, _digest(lines), now_ms())

    def _content(self, connection: sa.Connection, archive: Archive) -> list[str]:
        column = self._lines.c
        query = sa.select(column.content).where(column.run_id == archive.run_id, column.number == archive.number)
        return list(connection.scalars(query.order_by(column.line)))


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode(errors="surrogatepass") + b"\n")
    return digest.hexdigest()
