"""The import contracts of pyproject.toml hold, and each of them catches the import that it is there for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.sample import REPOSITORY

LINTER = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package with the contracts beside it, to break."""
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "src" / "chatctl", tmp_path / "chatctl", ignore=skipped)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def check_contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [LINTER, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_every_import_contract_holds(copy: Path):
    checked = check_contracts(copy)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("room", "statement", "contract"),
    [
        ("domain", "import chatctl.layouts", "Imports run downwards only"),
        ("stores", "import chatctl.services", "Imports run downwards only"),
        ("services", "import chatctl.render", "Imports run downwards only"),
        ("services", "import chatctl.cli.exit_codes", "Imports run downwards only"),
        ("cli", "import chatctl.stores.sql", "Only wiring and services know stores"),
        ("render", "import chatctl.stores.sql", "Only wiring and services know stores"),
        ("services", "import pymysql", "Only stores import a driver"),
        ("services", "import psycopg", "Only stores import a driver"),
        ("services", "import sqlite3", "Only stores import a driver"),
        ("cli", "import redis", "Only stores import a driver"),
        ("cli", "import sqlalchemy", "Only services and below speak SQLAlchemy"),
        ("settings", "import sqlalchemy", "Only services and below speak SQLAlchemy"),
        ("services", "import typer", "Only the CLI knows Typer"),
        ("services", "import rich.table", "Only render draws"),
        ("cli", "import rich", "Only render draws"),
    ],
)
def test_a_forbidden_import_is_caught(copy: Path, room: str, statement: str, contract: str):
    (copy / "chatctl" / room / "trespasser.py").write_text(f"def late() -> None:\n    {statement}\n")
    checked = check_contracts(copy)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert f"{contract} BROKEN" in checked.stdout
    assert "trespasser" in checked.stdout


def test_a_room_without_a_place_in_the_layers_is_caught(copy: Path):
    (copy / "chatctl" / "attic.py").write_text("")
    checked = check_contracts(copy)
    assert checked.returncode == 1
    assert "attic" in checked.stdout
