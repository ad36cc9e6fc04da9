"""PostgreSQL: pg_dump's directory format, parallel, of a snapshot that the tables' states are read from too."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import sqlalchemy as sa

from chatctl.domain.backups import TableState
from chatctl.observe.fail_points import fail_point
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dumps.base import MARKER_TABLE, SCRATCH_PREFIX, Dumped, Dumper, DumpOptions
from chatctl.stores.sql.dumps.tools import find_tool, running, secret_folder, version_of, write_secret

FOLDER = "dump"

#: Where Debian keeps the tools of each version; what is on PATH there is a wrapper that chooses one of them.
DEBIAN_TOOLS = "/usr/lib/postgresql/{major}/bin"
#: Restoring sessions carry this name, so that those of a restore that was killed can be found and ended.
_RESTORER = "chatctl restore"
_GZIP_LEVEL = 1
_ZSTD_LEVEL = 3
_QUERY = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
#: Entries that are there in every database, or that only a superuser may write.
_NOT_OURS = re.compile(r"^\d+; \d+ \d+ (?:(?:SCHEMA|ACL|COMMENT) - (?:SCHEMA )?public |COMMENT - EXTENSION )")
_ENTRY = re.compile(
    r"^\d+; \d+ \d+ (?P<kind>TABLE DATA|TABLE|DEFAULT|CONSTRAINT|FK CONSTRAINT|INDEX|TRIGGER|SEQUENCE OWNED BY"
    r"|SEQUENCE SET|SEQUENCE) (?P<schema>\S+) (?P<tag>.+) \S+$"
)

_WORD = r'(?:"(?:[^"]|"")+"|[^\s".;(]+)'
_OWNED = re.compile(
    rf"^CREATE (?:UNIQUE )?INDEX (?P<index>{_WORD}) ON (?:ONLY )?(?P<of_index>{_WORD}\.{_WORD})"
    rf"|^ALTER SEQUENCE (?P<sequence>{_WORD}\.{_WORD}) OWNED BY (?P<of_column>{_WORD}\.{_WORD})\."
    rf"|^ALTER TABLE (?P<of_identity>{_WORD}\.{_WORD}) ALTER COLUMN .* AS IDENTITY \(\s*"
    rf"SEQUENCE NAME (?P<identity>{_WORD}\.{_WORD})",
    re.MULTILINE,
)

_TABLES = sa.text(
    "SELECT n.nspname, c.relname, n.nspname = current_schema() FROM pg_class c"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\\_%'"
    " AND n.nspname <> 'information_schema' AND c.relname <> :marker"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2"
)
#: A table's columns with their types; types that aren't the server's own have no name here.
_COLUMNS = sa.text(
    "SELECT a.attname, CASE WHEN y.typnamespace = 'pg_catalog'::regnamespace THEN y.typname ELSE '' END"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type y ON y.oid = a.atttypid"
    " WHERE n.nspname = :schema AND c.relname = :table AND a.attnum > 0 AND NOT a.attisdropped"
    " ORDER BY a.attnum"
)
#: Types whose own hash says as much as that of their text, since equal values are the same to the byte; what has to
#: stand behind a value for that.
_HASHED = {
    **dict.fromkeys(("bool", "int2", "int4", "int8", "date", "timestamp", "timestamptz", "uuid", "bytea"), ""),
    **dict.fromkeys(("text", "varchar"), ' COLLATE "C"'),
}
#: What belongs to no extension, in the order in which it can go; dependants go with it. The connection's own schema
#: (`home`) stays, with the marker in it; the others go whole.
_OBJECTS = sa.text(
    "SELECT format('DROP %s IF EXISTS %s CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN"
    " 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, c.oid::regclass),"
    " 1 FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"
    " AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', :home))"
    " AND c.relname <> :marker AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
    " UNION ALL SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure), 2 FROM pg_proc p"
    " WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', :home)) AND p.prokind <> 'a'"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
    " UNION ALL SELECT format('DROP TYPE IF EXISTS %s CASCADE', t.oid::regtype), 3 FROM pg_type t"
    " WHERE t.typnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', :home))"
    " AND t.typtype IN ('e', 'd', 'r')"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')"
    " UNION ALL SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', n.nspname), 4 FROM pg_namespace n"
    " WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'public', :home)"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = n.oid AND d.deptype = 'e') ORDER BY 2"
)


class PostgreSQLDumper(Dumper):
    """A PostgreSQL database, all its schemas."""

    def dump(self, folder: Path, options: DumpOptions) -> Dumped:
        """pg_dump works on the snapshot while its tables' states are read from it."""
        with self.snapshot() as connection, self._access() as access:
            major, server = self._versions(connection)
            tool = self._tool("pg_dump", major)
            arguments = [
                tool,
                "--format=directory",
                f"--file={folder / FOLDER}",
                f"--jobs={options.jobs}",
                f"--compress={_compression(version_of(tool), options.level)}",
                # The repository syncs every file before the manifest.
                "--no-sync",
                f"--snapshot={connection.exec_driver_sql('SELECT pg_export_snapshot()').scalar_one()}",
                f"--exclude-table=*.{MARKER_TABLE}",
                *(f"--table={_identifier(name)}" for name in sorted(options.tables or ())),
            ]
            with running(arguments, access):
                tables = self._states(connection, options.tables)
        return Dumped(server, version_of(tool), tables)

    def load(self, folder: Path, *, tables: Collection[str] | None = None, elsewhere: bool, jobs: int = 2) -> None:
        """pg_restore, of all that isn't there in every database, or of what belongs to `tables`."""
        archive = folder / FOLDER
        with self.database.connect() as connection:
            major, home = self._versions(connection)[0], _home(connection)
        tool = self._tool("pg_restore", major)
        with self._access({"PGAPPNAME": _RESTORER}) as access, secret_folder() as scratch:
            contents = scratch / "contents"
            contents.write_text("\n".join(_chosen_entries(tool, archive, tables, home)) + "\n", encoding="utf-8")
            arguments = [
                tool,
                "--format=directory",
                f"--jobs={jobs}",
                "--exit-on-error",
                f"--use-list={contents}",
                *(("--no-owner", "--no-privileges") if elsewhere else ()),
                f"--dbname={self.database.url.database}",
                str(archive),
            ]
            fail_point("restore.loading")
            with running(arguments, access):
                pass

    def census(self, tables: Collection[str] | None = None) -> dict[str, TableState]:
        """Of one snapshot."""
        with self.snapshot() as connection:
            return self._states(connection, tables)

    def clear(self, tables: Collection[str] | None = None) -> None:
        """Drops in one transaction, once the sessions of a restore that was killed have been ended."""
        self._end_orphans()
        with self.database.begin() as connection:
            if tables is not None:
                for name in tables:
                    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_identifier(name)} CASCADE".replace("%", "%%"))
                return
            home = _home(connection)
            connection.exec_driver_sql("SET LOCAL search_path TO pg_catalog")
            for statement, _ in connection.execute(_OBJECTS, {"marker": MARKER_TABLE, "home": home}).all():
                connection.exec_driver_sql(str(statement).replace("%", "%%"))
            fail_point("restore.dropped")

    @contextmanager
    def scratch(self) -> Iterator[Database]:
        """A database on the same server, from template0, so that nothing but the dump is in it."""
        name = f"{SCRATCH_PREFIX}{secrets.token_hex(6)}"
        autocommit = self.database.engine.execution_options(isolation_level="AUTOCOMMIT")
        with self.database.translating(), autocommit.connect() as connection:
            encoding, collate, ctype, search_path = connection.exec_driver_sql(
                "SELECT pg_encoding_to_char(encoding), datcollate, datctype, current_setting('search_path')"
                " FROM pg_database WHERE datname = current_database()"
            ).one()
            connection.exec_driver_sql(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'"
                f" LC_COLLATE '{collate}' LC_CTYPE '{ctype}'"
            )
            # What a table is called depends on where names are looked up.
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET search_path TO {search_path}".replace("%", "%%"))
        scratch = Database(self.database.url.set(database=name).render_as_string(hide_password=False))
        try:
            yield scratch
        finally:
            scratch.close()
            with self.database.translating(), autocommit.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A read-only transaction, with the settings that texts of values depend on."""
        with super().snapshot() as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            for setting in (
                "datestyle = 'ISO, YMD'",
                "intervalstyle = 'iso_8601'",
                "extra_float_digits = 3",
                "bytea_output = 'hex'",
                "timezone = 'UTC'",
            ):
                connection.exec_driver_sql(f"SET LOCAL {setting}")
            yield connection

    def _states(self, connection: sa.Connection, tables: Collection[str] | None) -> dict[str, TableState]:
        found: dict[str, TableState] = {}
        for schema, table, is_current in connection.execute(_TABLES, {"marker": MARKER_TABLE}).all():
            name = table if is_current else f"{schema}.{table}"
            if tables is not None and name not in tables:
                continue
            # A sum of 64-bit hashes doesn't depend on the order of rows, and costs less than reading them.
            query = (
                f"SELECT count(*), COALESCE(sum({_row_hash(connection, schema, table)}), 0)::text"
                f" FROM ONLY {_quoted(schema)}.{_quoted(table)} t"
            )
            rows, total = connection.exec_driver_sql(query.replace("%", "%%")).one()
            found[name] = TableState(int(rows), str(total))
        return found

    def _end_orphans(self) -> None:
        with self.database.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                    " WHERE application_name = :name AND datname = current_database()"
                ),
                {"name": _RESTORER},
            ).all()

    @staticmethod
    def _versions(connection: sa.Connection) -> tuple[int, str]:
        number = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
        return number // 10_000, f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"

    def _tool(self, name: str, major: int) -> str:
        """The tool of the server's own version where Debian keeps several, else the one on PATH."""
        folder = Path(DEBIAN_TOOLS.format(major=major))
        return find_tool(name, needed_for=f"A backup of {self.database.dialect.title}", folders=(folder,))

    @contextmanager
    def _access(self, extra: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
        """Where the server is and who we are, as the environment of a tool; the password is in a file."""
        url = self.database.url
        given = {
            "PGHOST": url.host or _one(url.query.get("host")),
            "PGPORT": str(url.port) if url.port else _one(url.query.get("port")),
            "PGUSER": url.username,
            "PGDATABASE": url.database,
            "PGAPPNAME": "chatctl backup",
            "PGCONNECT_TIMEOUT": "10",
            "PGTZ": "UTC",
            **{variable: _one(url.query.get(name)) for name, variable in _QUERY.items()},
            **(extra or {}),
        }
        with secret_folder() as folder:
            if url.password is not None:
                password = str(url.password).replace("\\", "\\\\").replace(":", "\\:")
                given["PGPASSFILE"] = str(write_secret(folder / "pgpass", f"*:*:*:*:{password}\n"))
            yield {name: value for name, value in given.items() if value is not None}


def _row_hash(connection: sa.Connection, schema: str, table: str) -> str:
    """The hash of a row of `t`: of the values themselves where equal ones look alike, and of their texts elsewhere."""
    columns = connection.execute(_COLUMNS, {"schema": schema, "table": table}).all()
    values = [f"t.{_quoted(name)}{_HASHED.get(kind, '::text')}" for name, kind in columns]
    return f"hash_record_extended(ROW({', '.join(values)}), 0)"


def _home(connection: sa.Connection) -> str:
    """The schema in which this connection makes tables."""
    return str(connection.exec_driver_sql("SELECT COALESCE(current_schema(), 'public')").scalar_one())


def _chosen_entries(tool: str, archive: Path, tables: Collection[str] | None, home: str) -> list[str]:
    """The lines of the archive's contents that are to be restored; the schema `home` is there already."""
    there = re.compile(rf"^\d+; \d+ \d+ SCHEMA - {re.escape(home)} ")
    contents = [line for line in _answer(tool, archive, "--list").splitlines() if line and not line.startswith(";")]
    lines = [line for line in contents if not _NOT_OURS.match(line) and not there.match(line)]
    if tables is None:
        return lines
    owners = _owners(_answer(tool, archive, "--schema-only", "--file=-"))
    return [line for line in lines if _table_of(line, owners) in tables]


def _answer(tool: str, archive: Path, *options: str) -> str:
    with running([tool, *options, "--format=directory", str(archive)], stdout=PIPE) as process:
        assert process.stdout is not None
        return process.stdout.read().decode()


def _owners(definitions: str) -> dict[str, str]:
    """The table of each index and sequence, by their names with the schema: an archive's contents don't tell."""
    found = {}
    for match in _OWNED.finditer(definitions):
        table = _plain(match["of_index"] or match["of_column"] or match["of_identity"])
        schema = table.rpartition(".")[0]
        owned = _plain(match["index"] or match["sequence"] or match["identity"])
        found[owned if match["index"] is None else f"{schema}.{owned}"] = table
    return found


def _table_of(line: str, owners: Mapping[str, str]) -> str | None:
    """The table that an entry is, or is part of, as chatctl names it; None for what belongs to no table."""
    entry = _ENTRY.match(line)
    if entry is None:
        return None
    name = f"{entry['schema']}.{entry['tag']}"
    if entry["kind"] in ("CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "DEFAULT"):
        name = f"{entry['schema']}.{entry['tag'].split(' ')[0]}"
    return owners.get(name, name).removeprefix("public.")


def _plain(identifier: str) -> str:
    """`public."Order"` as `public.Order`."""
    return re.sub(r'"((?:[^"]|"")+)"', lambda match: match[1].replace('""', '"'), identifier)


def _compression(tool_version: str, level: int | None) -> str:
    match = re.search(r"(\d+)", tool_version.rpartition(")")[2])
    if match and int(match[1]) >= 16:
        return f"zstd:{level or _ZSTD_LEVEL}"
    return str(min(level or _GZIP_LEVEL, 9))


def _identifier(name: str) -> str:
    schema, _, table = name.rpartition(".")
    return f"{_quoted(schema)}.{_quoted(table)}" if schema else _quoted(table)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _one(value: str | tuple[str, ...] | None) -> str | None:
    return value[0] if isinstance(value, tuple) else value
