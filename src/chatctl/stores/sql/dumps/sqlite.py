"""SQLite: the backup API into a file of its own, checked; back by the same API, in one transaction."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
import zstandard

from chatctl.domain.backups import TableState
from chatctl.errors import DiskFullError, IntegrityError
from chatctl.observe.fail_points import fail_point
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dialects.sqlite import BUSY_TIMEOUT_SECONDS
from chatctl.stores.sql.dumps.base import MARKER_TABLE, SCRATCH_PREFIX, Dumped, Dumper, DumpOptions

FILE = "database.sqlite.zst"

_DEFAULT_LEVEL = 3
_CHUNK = 1024 * 1024
_MASK = 2**128 - 1


class SQLiteDumper(Dumper):
    """A database file."""

    def dump(self, folder: Path, options: DumpOptions) -> Dumped:
        """Copies the file, checks the copy, and packs it."""
        with _temporary(folder) as copy:
            with self._open(read_only=True) as source, _connect(copy) as target, _room_for_a_copy(folder):
                source.backup(target)
                self._trim(target, options.tables)
                _check(target, self.database.where)
                tables = _census(target, None)
            _pack(copy, folder / FILE, options.level or _DEFAULT_LEVEL)
        return Dumped(f"SQLite {sqlite3.sqlite_version}", f"sqlite3 {sqlite3.sqlite_version}", tables)

    def load(self, folder: Path, *, tables: Collection[str] | None = None, elsewhere: bool, jobs: int = 2) -> None:
        """Writes the copy over the database, all of it or nothing."""
        with _temporary(None) as copy:
            _unpack(folder / FILE, copy)
            with _connect(copy) as source, self._open(read_only=False) as target:
                _check(source, "The backup")
                fail_point("restore.loading")
                if tables is None:
                    _carry_marker(target, source)
                    source.backup(target)
                else:
                    _replace_tables(target, copy, tables)

    def census(self, tables: Collection[str] | None = None) -> dict[str, TableState]:
        """One pass over each table."""
        with self._open(read_only=True) as connection:
            return _census(connection, tables)

    def clear(self, tables: Collection[str] | None = None) -> None:
        """Nothing: `load` replaces everything in one transaction."""

    def empty(self) -> None:
        """In one transaction."""
        with self._open(read_only=False) as connection:
            connection.isolation_level = None
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("BEGIN IMMEDIATE")
            views = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
            for (name,) in views:
                connection.execute(f"DROP VIEW {_quoted(name)}")
            for name in _tables(connection):
                if name != MARKER_TABLE:
                    connection.execute(f"DROP TABLE {_quoted(name)}")
            connection.execute("COMMIT")

    @contextmanager
    def scratch(self) -> Iterator[Database]:
        """A file in a temporary folder."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            database = Database(f"sqlite:///{folder}/scratch.db")
            try:
                yield database
            finally:
                database.close()

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection that only reads: one that may write would keep every writer out."""
        reader = Database(self.database.url.render_as_string(hide_password=False), read_only=True)
        try:
            with reader.connect() as connection:
                yield connection
        finally:
            reader.close()

    @property
    def _file(self) -> Path | None:
        name = self.database.url.database
        return Path(name) if name and name != ":memory:" else None

    @contextmanager
    def _open(self, *, read_only: bool) -> Iterator[sqlite3.Connection]:
        if not read_only:
            # The engine makes sure that the file can be written, and keeps it in WAL mode.
            with self.database.connect():
                pass
        mode = "ro" if read_only else "rwc"
        location = f"file:{quote(str(self._file))}?mode={mode}"
        try:
            with closing(sqlite3.connect(location, uri=True, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
                yield connection
        except sqlite3.Error as problem:
            raise self.database.error(problem) from problem

    def _trim(self, copy: sqlite3.Connection, tables: Collection[str] | None) -> None:
        """Takes out of the copy what nobody asked for, and the marker; a copy of one file leaves no log beside it."""
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute("PRAGMA foreign_keys = OFF")
        surplus = [n for n in _tables(copy) if n == MARKER_TABLE or (tables is not None and n not in tables)]
        for name in surplus:
            copy.execute(f"DROP TABLE {_quoted(name)}")
        copy.commit()
        if surplus:
            copy.execute("VACUUM")


def _carry_marker(live: sqlite3.Connection, source: sqlite3.Connection) -> None:
    """The marker must outlive the moment in which everything else is replaced."""
    if MARKER_TABLE not in _tables(live):
        return
    (definition,) = live.execute("SELECT sql FROM sqlite_master WHERE name = ?", (MARKER_TABLE,)).fetchone()
    rows = live.execute(f"SELECT * FROM {MARKER_TABLE}").fetchall()
    source.execute(definition)
    for row in rows:
        source.execute(f"INSERT INTO {MARKER_TABLE} VALUES ({', '.join('?' * len(row))})", row)
    source.commit()


def _replace_tables(live: sqlite3.Connection, copy: Path, tables: Collection[str]) -> None:
    live.isolation_level = None
    live.execute("PRAGMA foreign_keys = OFF")
    live.execute("ATTACH DATABASE ? AS backup", (str(copy),))
    live.execute("BEGIN IMMEDIATE")
    for name in tables:
        definitions = live.execute(
            "SELECT sql FROM backup.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL"
            " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END",
            (name,),
        ).fetchall()
        live.execute(f"DROP TABLE IF EXISTS main.{_quoted(name)}")
        live.execute(definitions[0][0])
        live.execute(f"INSERT INTO main.{_quoted(name)} SELECT * FROM backup.{_quoted(name)}")
        for (definition,) in definitions[1:]:
            live.execute(definition)
    live.execute("COMMIT")


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return sorted(name for (name,) in rows)


def _census(connection: sqlite3.Connection, tables: Collection[str] | None) -> dict[str, TableState]:
    chosen = [n for n in _tables(connection) if n != MARKER_TABLE and (tables is None or n in tables)]
    return {name: _state(connection, name) for name in chosen}


def _state(connection: sqlite3.Connection, table: str) -> TableState:
    """Rows, and the sum of a hash of each, which doesn't depend on their order."""
    try:
        return _sum(connection, table)
    except sqlite3.OperationalError as problem:
        if "decode" not in str(problem):
            raise
    # SQLite keeps any bytes as text. Decoding by a function of ours is slow, so only where it must be.
    connection.text_factory = lambda data: data.decode(errors="surrogateescape")
    try:
        return _sum(connection, table)
    finally:
        connection.text_factory = str


def _sum(connection: sqlite3.Connection, table: str) -> TableState:
    count = total = 0
    for row in connection.execute(f"SELECT * FROM {_quoted(table)}"):
        digest = hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        total += int.from_bytes(digest, "little")
        count += 1
    return TableState(count, f"{total & _MASK:032x}")


def _check(connection: sqlite3.Connection, where: str) -> None:
    try:
        problems = [str(text) for (text,) in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as problem:
        problems = [str(problem)]
    if problems != ["ok"]:
        raise IntegrityError(f"{where} is damaged: {problems[0]}", hint="sqlite3 FILE .recover saves what can be read.")


@contextmanager
def _connect(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file)) as connection:
        yield connection


@contextmanager
def _room_for_a_copy(folder: Path) -> Iterator[None]:
    """Says which disk is full: only the copy is written to, but SQLite's error doesn't tell."""
    try:
        yield
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) and not (
            problem.sqlite_errorcode == sqlite3.SQLITE_IOERR_READ
        ):
            raise DiskFullError(
                f"{folder}: no space is left for a copy of the database.",
                hint="Free some space (chatctl backup prune), then run it again.",
            ) from problem
        raise


@contextmanager
def _temporary(folder: Path | None) -> Iterator[Path]:
    """A path for a copy, beside the file that is made of it, removed at the end."""
    with tempfile.TemporaryDirectory(prefix=".copy-" if folder else "chatctl-restore-", dir=folder) as inside:
        yield Path(inside) / "copy.sqlite"


def _pack(source: Path, target: Path, level: int) -> None:
    size = source.stat().st_size
    with source.open("rb") as plain, target.open("xb") as file:
        zstandard.ZstdCompressor(level=level, threads=1).copy_stream(plain, file, size=size)


def _unpack(source: Path, target: Path) -> None:
    """Never writes more than the packed file announces, nor begins where that wouldn't fit."""
    with source.open("rb") as file:
        announced = zstandard.frame_content_size(file.read(32))
        file.seek(0)
        if announced > shutil.disk_usage(target.parent).free:
            raise DiskFullError(f"The database in the backup takes {announced:,} bytes, more than {target.parent} has.")
        written = 0
        try:
            with zstandard.ZstdDecompressor().stream_reader(file) as plain, target.open("xb") as out:
                while written <= announced and (data := plain.read(_CHUNK)):
                    written += len(data)
                    out.write(data)
        except zstandard.ZstdError as problem:
            raise IntegrityError(f"The database in the backup can't be unpacked: {problem}.") from problem
    if written != announced:
        raise IntegrityError("The database in the backup isn't as long as it announces.")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
