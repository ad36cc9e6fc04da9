"""Schema dumps, made by the engines' own tools."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import sqlalchemy as sa
from tests.support.processes import find_program


def dump_schema(url: str) -> str:
    """The tables of the database of `url`, as mariadb-dump, pg_dump or SQLite's .dump writes them, without rows."""
    source = sa.make_url(url)
    if source.get_backend_name() == "sqlite":
        with sqlite3.connect(str(source.database)) as connection:
            return "\n".join(line for line in connection.iterdump() if not line.startswith("INSERT"))
    if source.get_backend_name() == "postgresql":
        command = [_pg_dump(), "--schema-only", f"--dbname={source.database}", f"--username={source.username}"]
    else:
        command = [find_program("mariadb-dump"), "--no-data", f"--user={source.username}", str(source.database)]
    place = [f"--host={source.host}", f"--port={source.port or 3306}"]
    secrets = {"PGPASSWORD": str(source.password), "MYSQL_PWD": str(source.password)}
    command = [command[0], *place, *command[1:]]
    done = subprocess.run(command, env={**os.environ, **secrets}, capture_output=True, text=True, check=True)
    return done.stdout


def _pg_dump() -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return find_program("pg_dump", *map(str, folders))
