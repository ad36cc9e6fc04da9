"""What the tests of the command line share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.support import specimen
from tests.support.cli import Completed, clean_environment

from chatctl.cli import lazy


@pytest.fixture
def specimen_cli(invoke: Callable[..., Completed], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Completed]:
    """`invoke`, with the specimen group among the commands."""
    monkeypatch.setattr(lazy, "REGISTRY", lazy.REGISTRY)
    specimen.register()
    return invoke


@pytest.fixture
def start_specimen(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the program with the specimen group in a process of its own; `options` go to Popen."""
    root = Path(__file__).parent.parent.parent

    def start(*arguments: str, env: Mapping[str, str] | None = None, **options: object) -> subprocess.Popen[str]:
        streams: dict[str, object] = {"stdin": subprocess.DEVNULL, "stdout": -1, "stderr": -1, **options}
        terminal = {"PYTHONPATH": os.fspath(root), "TERM": "xterm"}
        environment = clean_environment(tmp_path) | terminal | dict(env or {})
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.specimen", *arguments],
            cwd=tmp_path, env=environment, text=True, **streams,
        )  # type: ignore[call-overload]  # fmt: skip  # the streams are a mapping, which the overloads don't take

    return start
