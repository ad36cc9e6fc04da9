"""A MariaDB server of the tests' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pymysql
from tests.support.databases import Databases
from tests.support.processes import Server, find_program

USER = "chatctl"
PASSWORD = "s3cret-of-the-tests"

#: A stock server's settings, but small: files of a few megabytes make it start and stop quickly.
DEFAULTS = {
    "bind-address": "127.0.0.1",
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_general_ci",
    "innodb-buffer-pool-size": "64M",
    "innodb-log-file-size": "16M",
    "local-infile": "1",
    "skip-name-resolve": "1",
}


class MariaDBServer(Server):
    """MariaDB on a free port of 127.0.0.1; `settings` are options of mariadbd."""

    title: ClassVar[str] = "MariaDB"
    accounts: ClassVar[tuple[str, ...]] = ("mysql", "nobody")

    @property
    def url(self) -> str:
        """`mysql+pymysql://…/mysql`, an account with every privilege."""
        return f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/mysql"

    @property
    def general_log(self) -> Path:
        """Where the statements go when `settings` hold `{"general-log": "1"}`."""
        return self.folder / "statements.log"

    @property
    def databases(self) -> Databases:
        """Makes and drops databases on this server."""
        return Databases(self.url)

    def connect(self, **options: Any) -> pymysql.connections.Connection[Any]:
        """A connection of the driver itself, as the account of `url`."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, connect_timeout=5, **options
        )

    def execute(self, statement: str) -> Any:
        """What a statement of its own transaction answers first: a value, or None."""
        with self.connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            return row[0] if row else None

    @property
    def _options(self) -> list[str]:
        return [f"--{name}={value}" for name, value in {**DEFAULTS, **self.settings}.items()]

    def _prepare(self) -> None:
        accounts = self.folder / "accounts.sql"
        accounts.write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )
        self._run(
            [
                find_program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--innodb-log-file-size={DEFAULTS['innodb-log-file-size']}",
                # As below: the installation starts a server, too.
                f"--tmpdir={self.folder}",
            ]
        )

    def _command(self) -> list[str]:
        return [
            find_program("mariadbd"),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--socket={self.folder / 'server.sock'}",
            f"--pid-file={self.folder / 'server.pid'}",
            # A server that starts deletes the temporary tables of every other one in a folder that they share.
            f"--tmpdir={self.folder}",
            f"--general-log-file={self.general_log}",
            f"--init-file={self.folder / 'accounts.sql'}",
            f"--port={self.port}",
            *self._options,
        ]

    def _probe(self) -> None:
        self.connect().close()
