"""The wheel alone: installed away from the checkout, it has its revisions, layouts and schemas with it.

It migrates in an environment that holds nothing but what it requires.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
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


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`chatctl` in an environment that holds the wheel and what it requires: no extra, nothing of the tests."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for needed in _required_by(wheel):
        for entry in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
            (packages / entry).symlink_to(str(needed.locate_file(entry)))
    install = ["-m", "pip", "--python", str(folder / "bin/python"), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, *install, str(wheel)], check=True, capture_output=True)
    return folder / "bin/chatctl"


def _required_by(wheel: Path) -> Iterator[Distribution]:
    """The installed distributions that the wheel needs, and those that they need in turn."""
    (info,) = (entry for entry in zipfile.Path(wheel).iterdir() if entry.name.endswith(".dist-info"))
    waiting = [Requirement(text) for text in PathDistribution(info).requires or ()]
    seen = set()
    while waiting:
        wanted = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        found = distribution(wanted.name)
        if found.name not in seen:
            seen.add(found.name)
            waiting += map(Requirement, found.requires or ())
            yield found


@pytest.fixture
def chatctl(program: Path, tmp_path: Path) -> Chatctl:
    """Runs the wheel's chatctl in a folder of its own."""
    environment = clean_environment(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

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


def test_what_needs_an_extra_says_which(chatctl: Chatctl) -> None:
    refused = chatctl("-o", "json", "--database", "postgresql://dba@localhost/app", "migrate", "status")
    assert refused.returncode == 4, refused
    assert json.loads(refused.stdout)["errors"][0]["hint"] == "pip install 'chatctl[postgres]'"


def test_the_wheel_runs_the_tutorial_from_start_to_end_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
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
