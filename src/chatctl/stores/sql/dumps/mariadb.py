"""MariaDB and MySQL: their dump tool in one transaction, packed and counted on the way; back by their client."""

from __future__ import annotations

import fcntl
import secrets
import subprocess
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar

import sqlalchemy as sa
import zstandard

from chatctl.domain.backups import TableState
from chatctl.errors import IntegrityError, LockedError
from chatctl.observe.fail_points import fail_point
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dumps.base import MARKER_TABLE, SCRATCH_PREFIX, Dumped, Dumper, DumpOptions
from chatctl.stores.sql.dumps.mariadb_stream import DumpReader, selected
from chatctl.stores.sql.dumps.tools import find_tool, running, secret_folder, version_of, write_secret

FILE = "database.sql.zst"

_DEFAULT_LEVEL = 1
#: How mariadb-dump and mysqldump end for an error of the server's (EX_MYSQLERR).
_SERVER_ERROR = 2
_CHUNK = 1024 * 1024
#: The largest pipe that an unprivileged process may ask for on Linux.
_PIPE_BYTES = 1024 * 1024
_LOADING_LOCK = "chatctl_loading"
#: How long the client of a restore that was killed may take to notice.
_ORPHAN_SECONDS = 60

_TLS = {"ssl_ca": "ssl-ca", "ssl_cert": "ssl-cert", "ssl_key": "ssl-key", "ssl_capath": "ssl-capath"}


class MariaDBDumper(Dumper):
    """A MariaDB database."""

    dump_tools: ClassVar[tuple[str, ...]] = ("mariadb-dump", "mysqldump")
    client_tools: ClassVar[tuple[str, ...]] = ("mariadb", "mysql")
    #: What only this product's dump tool understands.
    own_options: ClassVar[tuple[str, ...]] = ()

    def dump(self, folder: Path, options: DumpOptions) -> Dumped:
        """One packed file of SQL; what is counted and hashed is the very text that is kept."""
        with (folder / FILE).open("xb") as file, ThreadPoolExecutor(1) as pool:
            packer = zstandard.ZstdCompressor(level=options.level or _DEFAULT_LEVEL, threads=1)
            about = pool.submit(lambda: (self._server(), version_of(self._dump_tool())))
            with packer.stream_writer(file, closefd=False) as out:
                tables = self._read_dump(options.tables, out)
        return Dumped(*about.result(), tables)

    def load(self, folder: Path, *, tables: Collection[str] | None = None, elsewhere: bool, jobs: int = 2) -> None:
        """Feeds the client, in which every command but SQL is switched off."""
        client = find_tool(*self.client_tools, needed_for=f"Restoring into {self.database.dialect.title}")
        with secret_folder() as folder_of_secrets, (folder / FILE).open("rb") as packed:
            arguments = [
                client,
                self._options_file(folder_of_secrets),
                "--binary-mode",
                *(["--sandbox"] if "--sandbox" in _help_of(client) else []),
                "--default-character-set=utf8mb4",
                "--max-allowed-packet=1G",
                self._name,
            ]
            with running(arguments, stdin=subprocess.PIPE) as process:
                assert process.stdin is not None
                # Whoever resumes after a kill waits for this session to end, see `clear`.
                process.stdin.write(f"SELECT GET_LOCK('{self._loading_lock}', 10);\n".encode())
                for data in _selected(packed, tables):
                    process.stdin.write(data)
                    fail_point("restore.loading")

    def census(self, tables: Collection[str] | None = None) -> dict[str, TableState]:
        """By dumping once more, into nothing."""
        return self._read_dump(tables, None)

    def clear(self, tables: Collection[str] | None = None) -> None:
        """DROP, once the client of a restore that was killed has gone."""
        with self.database.engine.connect() as connection, self.database.translating():
            lock = {"name": self._loading_lock, "seconds": _ORPHAN_SECONDS}
            if connection.scalar(sa.text("SELECT GET_LOCK(:name, :seconds)"), lock) != 1:
                raise LockedError(f"Another client is still loading into {self.database.where}.")
            connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
            try:
                for name, kind in self._relations(connection):
                    if name == MARKER_TABLE or (tables is not None and name not in tables):
                        continue
                    what = "VIEW" if kind == "VIEW" else "TABLE"
                    connection.exec_driver_sql(f"DROP {what} IF EXISTS {_quoted(name)}".replace("%", "%%"))
                    fail_point("restore.dropped")
            finally:
                connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")
                connection.execute(sa.text("SELECT RELEASE_LOCK(:name)"), {"name": self._loading_lock})

    @contextmanager
    def scratch(self) -> Iterator[Database]:
        """A database on the same server, with the same character set and collation."""
        name = f"{SCRATCH_PREFIX}{secrets.token_hex(6)}"
        with self.database.connect() as connection:
            charset, collation = connection.exec_driver_sql(
                "SELECT @@character_set_database, @@collation_database"
            ).one()
            connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET {charset} COLLATE {collation}")
        scratch = Database(self.database.url.set(database=name).render_as_string(hide_password=False))
        try:
            yield scratch
        finally:
            scratch.close()
            with self.database.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name}")

    def _read_dump(
        self, tables: Collection[str] | None, out: zstandard.ZstdCompressionWriter | None
    ) -> dict[str, TableState]:
        """Runs the dump tool, sends its text to `out`, and tells the tables' states."""
        reader = DumpReader()
        with secret_folder() as folder:
            arguments = [
                self._dump_tool(),
                self._options_file(folder),
                "--single-transaction",
                "--quick",
                "--hex-blob",
                "--triggers",
                "--skip-dump-date",
                "--order-by-primary",
                "--default-character-set=utf8mb4",
                "--max-allowed-packet=1G",
                f"--ignore-table={self._name}.{MARKER_TABLE}",
                *self.own_options,
                self._name,
                *(sorted(tables) if tables is not None else ()),
            ]
            with running(arguments, stdout=subprocess.PIPE, server_error=_SERVER_ERROR) as process:
                assert process.stdout is not None
                _widen(process.stdout.fileno())
                # Whole chunks: the tool writes little pieces, and each would cost us a round of our own.
                while data := process.stdout.read(_CHUNK):
                    reader.feed(data)
                    if out is not None:
                        out.write(data)
        return reader.finish()

    def _dump_tool(self) -> str:
        return find_tool(*self.dump_tools, needed_for=f"A backup of {self.database.dialect.title}")

    def _server(self) -> str:
        with self.database.connect() as connection:
            return f"{self.database.dialect.title} {connection.exec_driver_sql('SELECT VERSION()').scalar_one()}"

    @property
    def _name(self) -> str:
        return self.database.url.database or ""

    @property
    def _loading_lock(self) -> str:
        # The server's locks are shared by all its databases, and their names hold at most 64 characters.
        return f"{_LOADING_LOCK}.{self._name}"[:64].replace("'", "_").replace("\\", "_")

    def _relations(self, connection: sa.Connection) -> list[tuple[str, str]]:
        rows = connection.exec_driver_sql(
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()"
            " AND table_type IN ('BASE TABLE', 'VIEW', 'SEQUENCE') ORDER BY table_type DESC, table_name"
        )
        return [(str(name), str(kind)) for name, kind in rows]

    def _options_file(self, folder: Path) -> str:
        """Where the server is and who we are, in a file: the arguments of a process can be read by everybody."""
        url = self.database.url
        given = {
            "host": url.host,
            "port": str(url.port) if url.port else None,
            "user": url.username,
            "password": str(url.password) if url.password is not None else None,
            "socket": _one(url.query.get("unix_socket")),
            **{option: _one(url.query.get(name)) for name, option in _TLS.items()},
        }
        lines = [f"{name} = {_option_value(value)}" for name, value in given.items() if value is not None]
        text = "\n".join(["[client]", *lines, ""])
        return f"--defaults-file={write_secret(folder / 'options.cnf', text)}"


class MySQLDumper(MariaDBDumper):
    """A MySQL database."""

    dump_tools = ("mysqldump", "mariadb-dump")
    client_tools = ("mysql", "mariadb")
    own_options = ("--no-tablespaces",)


def _selected(packed: BinaryIO, tables: Collection[str] | None) -> Iterator[bytes]:
    """The dump's text, or what of it belongs to `tables`; memory is bounded by a chunk."""
    reader = DumpReader()
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=False) as plain:
            while data := plain.read(_CHUNK):
                if tables is None:
                    reader.feed(data)
                    yield data
                else:
                    yield selected(reader, data, tables)
    except zstandard.ZstdError as problem:
        raise IntegrityError(f"The dump in the backup can't be unpacked: {problem}.") from problem
    reader.finish()


def _help_of(tool: str) -> str:
    return subprocess.run([tool, "--help"], capture_output=True, text=True, check=False).stdout


def _widen(handle: int) -> None:
    """Fewer switches between the tool and us."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _one(value: str | tuple[str, ...] | None) -> str | None:
    return value[0] if isinstance(value, tuple) else value


def _option_value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f'"{escaped}"'


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
