"""A folder, a home and an environment of the test's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chatctl.settings import Settings, load_settings
from chatctl.settings.flags import Flags

Load = Callable[..., Settings]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working folder."""
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with nothing of chatctl's in it; a test may add to it."""
    return {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}


@pytest.fixture
def project(folder: Path) -> Callable[[str], Path]:
    """Writes ./chatctl.yaml."""

    def write(text: str) -> Path:
        path = folder / "chatctl.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def user(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the user's own configuration."""

    def write(text: str) -> Path:
        path = tmp_path / "home/.config/chatctl/config.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(folder: Path, environ: dict[str, str]) -> Load:
    """Loads the settings: flags by name, variables beside the environment's."""

    def loaded(variables: dict[str, str] | None = None, **flags: str) -> Settings:
        return load_settings(Flags(**flags), environ | (variables or {}), folder)

    return loaded
