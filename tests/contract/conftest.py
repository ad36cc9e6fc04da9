"""What the contract suite runs on: every engine in turn, by chatctl's own stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatctl.stores.sql.database import Database


@pytest.fixture
def database(engine_url: str) -> Iterator[Database]:
    """A fresh, empty database on each engine in turn; `engine_url` is its URL, `engine_name` its engine."""
    database = Database(engine_url)
    yield database
    database.close()
