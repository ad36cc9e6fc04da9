"""The list of long tests names tests that there are."""

from __future__ import annotations

import pytest
from tests.conftest import LONG_AND_GONE


def test_every_long_test_is_there(pytestconfig: pytest.Config) -> None:
    if LONG_AND_GONE not in pytestconfig.stash:
        pytest.skip("only a run of all tests can tell")
    gone = pytestconfig.stash[LONG_AND_GONE]
    assert not gone, "Write the list anew (scripts/long_tests.py), or take these out of tests/long.txt."
