"""The text that mariadb-dump and mysqldump write, cut into the sections of their tables as it streams by.

A row never spans lines: the tools write a line end inside a value as \\n. So whole lines can be counted, hashed and
left out without parsing SQL.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator

from chatctl.domain.backups import TableState
from chatctl.errors import IntegrityError

_STRUCTURE = re.compile(rb"^-- (?:Table structure for table|Temporary (?:table|view) structure for view) `(.+)`$")
_DATA = re.compile(rb"^-- Dumping data for table `(.+)`$")
_OTHER = re.compile(rb"^-- (?:Final view structure for view|Dumping (?:events|routines) for database) ")
#: A pattern finds it in half the time that `find` takes.
_COMMENT = re.compile(rb"\n-- ")
_END_OF_DATA = b"UNLOCK TABLES;"
_COMPLETED = b"-- Dump completed"
_SAME_LINE = re.compile(rb"^INSERT INTO `(?:[^`]|``)+` VALUES \(.*$", re.MULTILINE)
_STRING = re.compile(rb"'(?:[^'\\]|\\.|'')*'", re.DOTALL)


class DumpReader:
    """Fed with the dump's bytes; tells each table's rows and the hash of its data, and whether the dump ended."""

    def __init__(self) -> None:
        self.completed = False
        self._rest = b""
        self._table: str | None = None
        self._in_data = False
        self._rows: dict[str, int] = {}
        self._hashes: dict[str, hashlib._Hash] = {}

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        for _ in self.pieces(data):
            pass

    def pieces(self, data: bytes) -> Iterator[tuple[str | None, bytes]]:
        """The next bytes' whole lines, in pieces that each belong to one table, or (None) to the whole dump."""
        text = self._rest + data
        end = text.rfind(b"\n") + 1
        text, self._rest = text[:end], text[end:]
        start = 0
        while start < len(text):
            stop = self._next_comment(text, start)
            if stop > start:
                yield self._take(text[start:stop] if (start, stop) != (0, len(text)) else text)
            if stop == len(text):
                return
            line_end = text.index(b"\n", stop) + 1
            self._turn(text[stop : line_end - 1])
            yield self._table, text[stop:line_end]
            start = line_end

    def finish(self) -> dict[str, TableState]:
        """Every table's state; raises IntegrityError where the dump breaks off."""
        if self._rest.startswith(_COMPLETED):
            self.completed = True
        if not self.completed:
            raise IntegrityError("The dump breaks off before its end.")
        return {name: TableState(self._rows[name], self._hashes[name].hexdigest()) for name in self._rows}

    @staticmethod
    def _next_comment(text: bytes, start: int) -> int:
        """Where the next line that begins with `-- ` begins, or the end."""
        if text.startswith(b"-- ", start):
            return start
        found = _COMMENT.search(text, start)
        return len(text) if found is None else found.start() + 1

    def _take(self, piece: bytes) -> tuple[str | None, bytes]:
        if self._table is not None and self._in_data:
            data = piece
            # What follows the rows depends on which table comes next.
            end = _end_of_data(piece)
            if end is not None:
                data, self._in_data = piece[:end], False
            self._hashes[self._table].update(data)
            self._rows[self._table] += _count_rows(data)
        return self._table, piece

    def _turn(self, comment: bytes) -> None:
        """A comment line may begin another section."""
        if match := _STRUCTURE.match(comment):
            self._table, self._in_data = match[1].decode(), False
        elif match := _DATA.match(comment):
            self._table, self._in_data = match[1].decode(), True
            self._rows.setdefault(self._table, 0)
            self._hashes.setdefault(self._table, hashlib.sha256())
        elif _OTHER.match(comment):
            self._table, self._in_data = None, False
        elif comment.startswith(_COMPLETED):
            self._table, self._in_data, self.completed = None, False, True


def selected(reader: DumpReader, data: bytes, tables: Collection[str]) -> bytes:
    """What of the next bytes belongs to `tables` or to the whole dump."""
    return b"".join(piece for table, piece in reader.pieces(data) if table is None or table in tables)


def _end_of_data(piece: bytes) -> int | None:
    """Where the rows end, None where they go on: then the last line is one. Looking there alone costs nothing."""
    last = piece.rfind(b"\n", 0, len(piece) - 1) + 1
    if piece.startswith((b"(", b"INSERT INTO "), last):
        return None
    if piece.startswith(_END_OF_DATA):
        return 0
    found = piece.find(b"\n" + _END_OF_DATA)
    return found + 1 if found >= 0 else None


def _count_rows(piece: bytes) -> int:
    """The rows in whole lines of INSERT statements: a line each where the tool is recent, else a statement a line."""
    rows = piece.count(b"\n(") + piece.startswith(b"(")
    # The pattern is slow, and recent tools end the line after VALUES.
    if b"` VALUES (" in piece:
        rows += sum(_STRING.sub(b"", line[0]).count(b"),(") + 1 for line in _SAME_LINE.finditer(piece))
    return rows
