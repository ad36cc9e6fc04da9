"""The database that regrouping is tried on: the layout `mentor`, on every engine in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.regrouping import Mentored


@pytest.fixture
def mentored(engine_url: str) -> Iterator[Mentored]:
    """An empty database of chats with mentors on each engine in turn."""
    made = Mentored(engine_url)
    yield made
    made.close()
