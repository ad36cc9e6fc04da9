"""What must start fast, or work without a database library, loads none."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from chatctl.cli.lazy import REGISTRY

DATABASE_LIBRARIES = {"sqlalchemy", "alembic", "redis", "pymysql", "psycopg"}
HEAVY = {*DATABASE_LIBRARIES, "pydantic"}

PROBE = """
import sys
from chatctl.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end
print("loaded:", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def loaded_by(*arguments: str, probe: str = PROBE, **variables: str) -> set[str]:
    command = [sys.executable, "-c", probe, *arguments]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("loaded:")[2].split())


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["--help", "--no-input"]], ids=" ".join)
def test_asking_for_help_or_the_version_loads_neither_a_database_library_nor_pydantic(arguments):
    assert loaded_by(*arguments) & HEAVY == set()


@pytest.mark.parametrize("command", [entry.name for entry in REGISTRY])
def test_asking_a_command_for_its_help_loads_no_database_library(command):
    assert loaded_by(command, "--help") & DATABASE_LIBRARIES == set()


def test_completion_loads_neither_a_database_library_nor_pydantic():
    asked = {"COMP_WORDS": "chatctl runs show ", "COMP_CWORD": "3", "_CHATCTL_COMPLETE": "complete_bash"}
    assert loaded_by(**asked) & HEAVY == set()


def test_the_probe_sees_a_library_that_is_loaded():
    probe = PROBE.replace("import sys", "import sys, pydantic", 1)
    assert loaded_by("--version", probe=probe) & HEAVY == {"pydantic"}
