"""From a URL to the dialect that serves it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatctl.errors import ConfigurationError, MissingExtraError
from chatctl.stores.sql.dialects.base import Dialect

#: Scheme → (module, class, driver, the extra that brings the driver).
_FAMILIES: dict[str, tuple[str, str, str, str | None]] = {
    "sqlite": ("sqlite", "SQLite", "sqlite+pysqlite", None),
    "mysql": ("mariadb", "EitherMySQL", "mysql+pymysql", None),
    "mariadb": ("mariadb", "EitherMySQL", "mysql+pymysql", None),
    "postgresql": ("postgresql", "PostgreSQL", "postgresql+psycopg", "postgres"),
    "postgres": ("postgresql", "PostgreSQL", "postgresql+psycopg", "postgres"),
}


def normalise_url(text: str) -> sa.URL:
    """The SQLAlchemy URL for `text`, with chatctl's driver where none is named.

    Raises ConfigurationError where it is no URL or names an engine that chatctl doesn't serve; the message never
    holds the password.
    """
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            "The database URL can't be read.",
            hint="It looks like postgresql://user@host:5432/name, mariadb://… or sqlite:////path/to/file.db.",
        ) from None
    scheme = url.drivername.partition("+")[0]
    if scheme not in _FAMILIES:
        raise ConfigurationError(
            f"chatctl doesn't serve '{url.drivername}' databases.",
            hint="It serves sqlite, mariadb, mysql and postgresql.",
        )
    _, _, driver, _ = _FAMILIES[scheme]
    return url.set(drivername=driver)


def dialect_for(url: sa.URL) -> Dialect:
    """The dialect of `url`; raises MissingExtraError where its driver isn't installed."""
    module, class_name, driver, extra = _FAMILIES[url.get_backend_name()]
    package = driver.partition("+")[2]
    if extra and importlib.util.find_spec(package) is None:
        raise MissingExtraError(extra, f"A {class_name} database")
    found = importlib.import_module(f"chatctl.stores.sql.dialects.{module}")
    dialect: Dialect = getattr(found, class_name)()
    return dialect


def title_of(text: str, dialect: Dialect) -> str:
    """What the server of the URL `text` is called before it has answered: MariaDB by whoever calls it that."""
    return "MariaDB" if text.startswith("mariadb") else dialect.title


def place_of(url: sa.URL) -> tuple[Any, ...]:
    """What tells two databases apart: a file's path, or product, host, name and port."""
    if url.get_backend_name() == "sqlite":
        name = (url.database or "").removeprefix("file:").partition("?")[0]
        return ("sqlite", str(Path(name).resolve()) if name not in ("", ":memory:") else name)
    host = "127.0.0.1" if url.host in (None, "localhost") else url.host
    return (url.get_backend_name().replace("mariadb", "mysql"), host, url.database, url.port)


def place_of_arguments(backend: str, positional: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
    """The same as `place_of`, told from what a driver of that backend is about to be called with."""
    if backend == "sqlite":
        return place_of(sa.make_url("sqlite://").set(database=str(positional[0]) if positional else ""))
    database = next((named[name] for name in ("dbname", "database", "db") if named.get(name)), None)
    port = named.get("port")
    url = sa.make_url(f"{backend}://").set(host=named.get("host"), database=database, port=int(port) if port else None)
    return place_of(url)
