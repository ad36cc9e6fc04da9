"""constraints.txt pins what pyproject.toml asks for, by hash, and names no address."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.support.sample import REPOSITORY

TEXT = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?P<rest>(?:.*\\\n)(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)
PINS = {canonicalize_name(match["name"]): match["version"] for match in PIN.finditer(TEXT)}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def requirements() -> list[str]:
    project = PROJECT["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    return [*PROJECT["build-system"]["requires"], *project["dependencies"], *extras]


@pytest.mark.parametrize("text", requirements())
def test_each_requirement_is_pinned_to_a_version_that_it_allows(text):
    wanted = Requirement(text)
    assert PINS.get(canonicalize_name(wanted.name)) in wanted.specifier, "run `make lock`"


def test_every_line_is_a_pin_with_hashes():
    assert PIN.sub("", TEXT) == ""
    assert "://" not in TEXT
