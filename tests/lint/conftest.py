"""What the linter's tests share."""

from __future__ import annotations

import pytest

from chatctl.errors import MissingExtraError
from chatctl.services.lint import squawk as driver


@pytest.fixture
def squawk() -> None:
    """Skips the test where the extra `lint` isn't installed."""
    try:
        driver.program()
    except MissingExtraError as problem:
        pytest.skip(str(problem))
