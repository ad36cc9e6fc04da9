"""Databases that rows are imported into, the rows, and what became of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.support.migrated import Migrated

from chatctl.layouts import Phase, load_layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.tables import LayoutTables


def make_tables(url: str, layout: str = "mentor", phase: Phase = Phase.LEGACY) -> None:
    """Makes the layout's tables as they are at `phase` in the empty database of `url`."""
    database = Database(url)
    try:
        Migrated(load_layout(layout), database).up_to(phase)
    finally:
        database.close()


def message(number: int, **changes: Any) -> dict[str, Any]:
    """A message of the legacy `mentor` tables as a JSON line holds it; no two numbers make the same."""
    texts = ("", 'says "hi"', "two\nlines\tand\\N", "спасибо 🙂", "plain", "a\\")
    return {
        "id": f"m{number:08d}",
        "userId": f"u{number % 17}",
        "mentorId": None if number % 5 == 0 else f"mentor {number % 3}",
        "role": "user",
        "content": f"{texts[number % len(texts)]} {number}",
        "createdAt": f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}T10:20:30.{number % 1000:03d}Z",
        **changes,
    }


def write_lines(path: Path, records: Iterable[dict[str, Any] | str]) -> Path:
    """Writes `records` as JSON lines, texts as they are."""
    lines = (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def first_lines(sample: Path, count: int, target: Path) -> Path:
    """The first `count` lines of a gzipped file, plain."""
    with gzip.open(sample, "rb") as source:
        target.write_bytes(b"".join(line for _, line in zip(range(count), source, strict=False)))
    return target


def fingerprint(url: str, entity: str = "messages", layout: str = "mentor") -> tuple[int, str]:
    """How many rows the table has, and their checksum, which is the same on every engine."""
    database = Database(url)
    try:
        with database.connect() as connection:
            return database.dialect.fingerprint(connection, LayoutTables(load_layout(layout), Phase.LEGACY)[entity])
    finally:
        database.close()


def execute(url: str, *statements: str) -> None:
    """Runs `statements` in one transaction."""
    database = Database(url)
    try:
        with database.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))
    finally:
        database.close()


def rows_of(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What a query answers."""
    database = Database(url)
    try:
        with database.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement))]
    finally:
        database.close()


def rejects_in(path: Path) -> list[dict[str, Any]]:
    """The records of a reject file."""
    return list(_json_lines(path))


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
