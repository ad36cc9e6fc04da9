"""The wheel alone: installed away from the checkout, it has its revisions, layouts and schemas with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.cli import clean_environment
from tests.support.sample import REPOSITORY

Chatctl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def chatctl(wheel: Path, tmp_path: Path) -> Chatctl:
    """Runs the wheel's chatctl, found in its own folder before anything that is installed."""
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    environment = {**clean_environment(tmp_path), "PYTHONPATH": str(site)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "chatctl", *arguments]
        return subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    where = subprocess.run(
        [sys.executable, "-c", "import chatctl; print(chatctl.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(os.fspath(site))
    return run


@pytest.mark.parametrize("layout", ["native", "worker", "simorgh"])
def test_the_wheel_migrates_an_empty_database(chatctl: Chatctl, layout: str) -> None:
    arguments = ("-o", "json", "--database", "sqlite:///chat.db", "--layout", layout, "migrate")
    up = chatctl(*arguments, "up")
    assert up.returncode == 0, up
    assert json.loads(up.stdout)["data"]["applied"]
    assert chatctl(*arguments, "check").returncode == 0


def test_the_wheel_carries_a_legacy_database(chatctl: Chatctl) -> None:
    arguments = ("-o", "json", "--database", "sqlite:///chat.db", "--layout", "mentor")
    assert chatctl(*arguments, "demo", "create", "--messages", "100").returncode == 0
    up = chatctl(*arguments, "migrate", "up")
    assert up.returncode == 0, up
    assert json.loads(up.stdout)["data"]["applied"] == ["mentor_0002", "mentor_0003"]


def test_the_wheel_holds_what_it_needs_and_nothing_of_the_tests(wheel: Path) -> None:
    listing = subprocess.run([sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True)
    for needed in (
        "chatctl/_migrations/env.py",
        "chatctl/_migrations/versions/mentor/0001_legacy.py",
        "chatctl/layouts/builtin/mentor.yaml",
        "chatctl/schemas/envelope.json",
        "chatctl/py.typed",
    ):
        assert needed in listing.stdout
    assert "tests/" not in listing.stdout
    assert ".pyc" not in listing.stdout
