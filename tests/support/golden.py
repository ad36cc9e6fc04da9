"""Outputs that are compared byte by byte with a file under tests/golden.

`pytest --update-golden` writes the files anew; read them before you commit them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--update-golden`."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden("migrate-status.csv", text)` fails unless the file holds exactly `text`."""
    update = request.config.getoption("--update-golden")

    def compare(name: str, text: str) -> None:
        file = FOLDER / name
        if update:
            file.write_bytes(text.encode())
        assert file.exists(), f"{file.name} is missing: pytest --update-golden"
        assert text.encode().splitlines(keepends=True) == file.read_bytes().splitlines(keepends=True)

    return compare
