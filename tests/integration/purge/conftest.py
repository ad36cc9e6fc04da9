"""Databases to purge: every layout with a clock, on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.purging import PurgeBed, bed

from chatctl.layouts import builtin_names, load_layout

WITH_A_CLOCK = [name for name in builtin_names() if load_layout(name).purge is not None]


@pytest.fixture(params=WITH_A_CLOCK)
def layout_name(request: pytest.FixtureRequest) -> str:
    """Each layout with a purge clock in turn; `parametrize(..., indirect=True)` narrows the choice."""
    name: str = request.param
    return name


@pytest.fixture
def purging(engine_url: str, layout_name: str, tmp_path: Path) -> Iterator[PurgeBed]:
    """An empty database of each layout on each engine."""
    made = bed(engine_url, layout_name, tmp_path)
    yield made
    made.close()
