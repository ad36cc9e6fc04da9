"""What the tests of sessions, counters and permissions share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.creators import close_databases


@pytest.fixture(autouse=True)
def _databases_closed() -> Iterator[None]:
    yield
    close_databases()
