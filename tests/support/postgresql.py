"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any, ClassVar

from tests.support.databases import Databases
from tests.support.processes import Server, ServerUnavailableError, find_program

try:
    import psycopg
except ImportError:  # the extra `postgres` is optional, for the tests too
    psycopg = None  # type: ignore[assignment]  # a module or nothing, asked for by _driver()

USER = "chatctl"
PASSWORD = "s3cret-of-the-tests"

#: fsync and synchronous_commit stay on, as on a stock server: crash tests count on them.
DEFAULTS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}


class PostgreSQLServer(Server):
    """PostgreSQL on a free port of 127.0.0.1; `settings` are those of postgresql.conf.

    Statements are in `log` when `settings` hold `{"log_statement": "all"}`.
    """

    title: ClassVar[str] = "PostgreSQL"
    accounts: ClassVar[tuple[str, ...]] = ("postgres", "nobody")
    # Fast shutdown; SIGTERM would wait for clients that a failed test left connected.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    @property
    def url(self) -> str:
        """`postgresql+psycopg://…/postgres`, a superuser."""
        return f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    @property
    def databases(self) -> Databases:
        """Makes and drops databases on this server."""
        return Databases(self.url)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """A connection of the driver itself, as the account of `url`."""
        options = {"dbname": "postgres", "connect_timeout": 5, **options}
        connection: psycopg.Connection[Any] = _driver().connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, **options
        )
        return connection

    def execute(self, statement: str) -> Any:
        """What a statement of its own transaction answers first: a value, or None."""
        with self.connect(autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def _prepare(self) -> None:
        _driver()
        initdb = program("initdb")
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self._own(password)
        password.chmod(0o600)
        self._run(
            [
                initdb,
                f"--pgdata={self.data}",
                f"--username={USER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                *_linguistic_order(initdb),
                "--no-sync",
            ]
        )
        # Hosts that are linked with this one may come in where it listens to them.
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")

    def _command(self) -> list[str]:
        settings = {"unix_socket_directories": str(self.folder), **DEFAULTS, **self.settings}
        command = [program("postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _probe(self) -> None:
        self.connect().close()


def _driver() -> Any:
    if psycopg is None:
        raise ServerUnavailableError("the extra 'postgres' isn't installed")
    return psycopg


def program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return find_program(name, *map(str, folders))


def _linguistic_order(initdb: str) -> list[str]:
    """Most databases sort by a language's rules, not by bytes, so the tests' do where the server can (15+)."""
    asked = subprocess.run([initdb, "--help"], stdout=subprocess.PIPE, text=True, check=True)
    return ["--locale-provider=icu", "--icu-locale=en-US"] if "--icu-locale" in asked.stdout else []
