"""Throw-away databases on a running server. It knows nothing of how the server came to run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}


class Databases:
    """Makes and drops databases on a MariaDB, MySQL or PostgreSQL server.

    `url` is a SQLAlchemy URL of an account that may do so; a bare scheme gets the project's driver.
    """

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        self._url = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
        self._is_postgresql = self._url.get_backend_name() == "postgresql"

    def url_of(self, name: str) -> str:
        """The URL of the database `name`, password included."""
        return self._url.set(database=name).render_as_string(hide_password=False)

    def create_database(self, name: str | None = None) -> str:
        """Creates an empty database, with a unique name where none is given; returns its URL."""
        name = name or f"chatctl_test_{uuid.uuid4().hex[:16]}"
        self._execute(f"CREATE DATABASE {self._quoted(name)}")
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Drops the database of `url` and whatever is connected to it."""
        name = sa.make_url(url).database or ""
        if self._is_postgresql:
            self._execute(f"DROP DATABASE IF EXISTS {self._quoted(name)} WITH (FORCE)")
            return
        # A transaction that a failed test left open holds a metadata lock that DROP DATABASE would wait for.
        listing = sa.text("SELECT id FROM information_schema.processlist WHERE db = :name")
        with self._connect() as connection:
            for (thread,) in connection.execute(listing, {"name": name}).all():
                try:
                    connection.execute(sa.text(f"KILL {thread:d}"))
                except sa.exc.OperationalError as problem:
                    if "Unknown thread" not in str(problem):
                        raise
        self._execute(f"DROP DATABASE IF EXISTS {self._quoted(name)}")

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh, empty database, dropped afterwards."""
        url = self.create_database()
        try:
            yield url
        finally:
            self.drop_database(url)

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self._url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(sa.text(statement))

    def _quoted(self, name: str) -> str:
        mark = '"' if self._is_postgresql else "`"
        return f"{mark}{name.replace(mark, mark * 2)}{mark}"
