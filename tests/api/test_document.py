"""schemathesis over the OpenAPI document: no 5xx, no undocumented status, nothing taken that the document forbids."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Api

from chatctl.api.bodies import Body

log = logging.getLogger(__name__)

SOAK = float(os.environ.get("CHATCTL_SOAK", "1"))


def explore(api: Api, folder: Path, examples: int, phases: str, seconds: float | None = None) -> str:
    """Runs schemathesis' own command line, as a user of it would; its report. Each of the phases must have run."""
    admin = api.token(api.account(f"explorer-{folder.name}-{phases[:8]}", "admin"), "admin")
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(Path(__file__).with_name("schemathesis.toml")),
        "run", f"{api.url}/openapi.json",
        "--header", f"Authorization: Bearer {admin}",
        "--checks", "all", "--max-examples", str(examples), "--phases", phases,
        *(["--max-time", str(int(seconds))] if seconds else []),
        "--request-timeout", "60", "--generation-database", "none", "--no-color", "--seed", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=(seconds or 0) + 900)
    report = done.stdout + done.stderr
    log.info("%s", report)
    assert done.returncode == 0, report[-12_000:]
    assert all(f"✅ {phase.title()}" in report for phase in phases.split(",")), report[-3_000:]
    return report


def test_every_bound_of_a_body_is_said_in_the_words_of_json_schema() -> None:
    def words(document: Any) -> Iterator[str]:
        if isinstance(document, dict):
            yield from document
        for each in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
            yield from words(each)

    bodies = Body.__subclasses__()
    assert len(bodies) > 10
    for body in bodies:
        assert not {"ge", "gt", "le", "lt", "min_length", "max_length"} & set(words(body.model_json_schema())), body


def test_a_short_look_finds_nothing(api: Api, tmp_path: Path) -> None:
    # Bounded by examples alone: a limit in seconds leaves out whatever a busy machine doesn't come to.
    explore(api, tmp_path, 1, "coverage,fuzzing,stateful")


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("phases", ["coverage,fuzzing", "stateful"])
def test_a_long_look_finds_nothing(api: Api, tmp_path: Path, phases: str) -> None:
    explore(api, tmp_path, 2_000, phases, seconds=600 * SOAK)
