"""The wheel alone: installed away from the checkout, it has its revisions, layouts and schemas with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.cli import clean_environment
from tests.support.console import run_page
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
def site(wheel: Path, tmp_path: Path) -> Path:
    """A folder with the wheel's content and nothing else."""
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return site


@pytest.fixture
def chatctl(site: Path, tmp_path: Path) -> Chatctl:
    """Runs the wheel's chatctl, found in its own folder before anything that is installed."""
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


def test_the_wheel_runs_the_tutorial_from_start_to_end_in_an_empty_folder(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()

    written = run_page(
        REPOSITORY / "docs/tutorial.md", folder, {**clean_environment(tmp_path), "PYTHONPATH": str(site)}
    )

    assert "+ chatctl record show --output markdown" in written
    assert (site / "share/man/man1/chatctl.1").exists()


@pytest.mark.slow  # fetches what the wheel depends on
@pytest.mark.timeout(900)
def test_the_wheel_alone_in_an_environment_of_its_own_runs_the_tutorial(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "environment/bin/python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "environment")], check=True)
    fetched = subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], capture_output=True, text=True)
    if fetched.returncode != 0:
        pytest.skip(f"no package index answers: {fetched.stderr[-300:]}")
    folder = tmp_path / "empty"
    folder.mkdir()

    written = run_page(REPOSITORY / "docs/tutorial.md", folder, clean_environment(tmp_path), str(python))

    assert "+ chatctl record show --output markdown" in written


def test_the_wheel_holds_what_it_needs_and_nothing_of_the_tests(wheel: Path) -> None:
    listing = subprocess.run([sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True)
    for needed in (
        "chatctl/_migrations/env.py",
        "chatctl/_migrations/versions/mentor/0001_legacy.py",
        "chatctl/layouts/builtin/mentor.yaml",
        "chatctl/schemas/envelope.json",
        "chatctl/services/code/forms/endpoints.yaml",
        "chatctl/services/doctor/grants.yaml",
        "chatctl/services/environment/catalogue.yaml",
        "chatctl/services/record/lists.yaml",
        "chatctl/py.typed",
    ):
        assert needed in listing.stdout
    assert "tests/" not in listing.stdout
    assert ".pyc" not in listing.stdout


def test_the_sdist_holds_what_the_wheel_is_made_of(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert names >= {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "docs/man/chatctl.1", "mkdocs.yml"}
    assert names >= {"src/chatctl/__main__.py", "migrations/env.py", "packaging/Dockerfile", "scripts/docs.py"}
    assert not any("__pycache__" in name or name.startswith((".venv", "dist", ".git/")) for name in names)
