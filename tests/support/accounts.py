"""Accounts on the tests' servers with exactly the privileges that they are given."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from chatctl.stores.sql.database import Database

PASSWORD = "of-one-account"


@contextmanager
def account(admin_url: str) -> Iterator[tuple[str, str]]:
    """An account that may connect and nothing else: its name, and the URL of the same database as that account."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    url = sa.make_url(admin_url)
    if url.get_backend_name() == "postgresql":
        execute(admin_url, [f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"])
        drops = [f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}", f"DROP ROLE {name}"]
    else:
        execute(admin_url, [f"CREATE USER '{name}'@'%' IDENTIFIED BY '{PASSWORD}'"])
        drops = [f"DROP USER '{name}'@'%'"]
    try:
        yield name, url.set(username=name, password=PASSWORD).render_as_string(hide_password=False)
    finally:
        execute(admin_url, drops)


def execute(url: str, statements: Iterable[str]) -> None:
    """Runs the statements, each by itself."""
    engine = sa.create_engine(Database(url).url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()
