"""schemathesis over the OpenAPI document: no 5xx, no undocumented status, nothing taken that the document forbids."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.api import Api

log = logging.getLogger(__name__)

SOAK = float(os.environ.get("CHATCTL_SOAK", "1"))


def explore(api: Api, folder: Path, seconds: float, examples: int) -> str:
    """Runs schemathesis' own command line, as a user of it would; its report."""
    admin = api.token(api.account(f"explorer-{folder.name}", "admin"), "admin")
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json",
        "--header", f"Authorization: Bearer {admin}",
        "--checks", "all", "--max-examples", str(examples), "--max-time", str(int(seconds)),
        "--generation-database", "none", "--no-color", "--seed", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=seconds + 240)
    report = done.stdout + done.stderr
    log.info("%s", report)
    assert done.returncode == 0, report[-12_000:]
    return report


def test_a_short_look_finds_nothing(api: Api, tmp_path: Path) -> None:
    explore(api, tmp_path, seconds=8, examples=2)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_long_look_finds_nothing(api: Api, tmp_path: Path) -> None:
    explore(api, tmp_path, seconds=1_200 * SOAK, examples=2_000)
