"""Asking another system's database: bounded waiting, and what the account could write there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

# ALL PRIVILEGES, or a list with a word that changes rows or tables.
_WRITING = re.compile(r"\b(ALL PRIVILEGES|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|TRIGGER|SUPER)\b", re.IGNORECASE)
_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>.+?) TO ", re.IGNORECASE)


def answer_within(url: sa.URL, seconds: int) -> sa.URL:
    """`url` with a driver that gives up on a silent server after `seconds`."""
    if url.get_backend_name() not in ("mysql", "mariadb"):
        return url
    limits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), str(seconds))
    return url.update_query_dict({name: value for name, value in limits.items() if name not in url.query})


def limit_statements(engine: sa.Engine, seconds: int) -> None:
    """Has the server itself end a statement that runs longer than `seconds`, where it can."""
    if engine.dialect.name != "postgresql":
        return

    @sa.event.listens_for(engine, "connect")
    def limit(connection: Any, record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {seconds * 1000}")
        connection.commit()


def write_privileges(connection: sa.Connection, tables: Sequence[str]) -> list[str]:
    """What this account may change in `tables` or the server, in the server's words; empty where it only reads."""
    readers: dict[str, Callable[[sa.Connection, Sequence[str]], list[str]]] = {
        "mysql": _by_show_grants,
        "mariadb": _by_show_grants,
        "postgresql": _by_table_privileges,
    }
    reader = readers.get(connection.dialect.name)
    return reader(connection, tables) if reader else []


def _by_show_grants(connection: sa.Connection, tables: Sequence[str]) -> list[str]:
    found = []
    for grant in connection.exec_driver_sql("SHOW GRANTS").scalars():
        match = _GRANT.match(str(grant))
        # What stands after "IDENTIFIED BY" is a password's hash: only the two named parts are ever shown.
        if match and _WRITING.search(match["what"]):
            found.append(f"{match['what']} ON {match['where']}")
    return found


def _by_table_privileges(connection: sa.Connection, tables: Sequence[str]) -> list[str]:
    asked = sa.text("SELECT has_table_privilege(CAST(:name AS text), CAST(:privilege AS text))")
    return [
        f"{privilege} ON {table}"
        for table in tables
        for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
        if connection.scalar(asked, {"name": table, "privilege": privilege})
    ]
