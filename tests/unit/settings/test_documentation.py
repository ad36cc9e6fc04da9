"""docs/configuration.md names every key and variable, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from chatctl.settings import schema, sources

PAGE = Path(__file__).parents[3] / "docs/configuration.md"


def _rows() -> list[list[set[str]]]:
    lines = [line for line in PAGE.read_text().splitlines() if re.match(r"\| `[a-z_.]+` \|", line)]
    return [[set(re.findall(r"`([^`]+)`", cell)) for cell in line.split("|")[1:4]] for line in lines]


def test_the_page_names_every_key_with_its_variables() -> None:
    documented = {key: variables for (key,), variables, _ in _rows()}
    assert list(documented) == schema.dotted_keys()
    for key, variables in documented.items():
        assert variables == {name for name, its_key in sources.VARIABLES.items() if its_key == key}


def test_the_page_names_every_variable_of_the_applications() -> None:
    documented = {name: key for (key,), _, names in _rows() for name in names if not name.startswith("MYSQL_")}
    assert documented == sources.APPLICATION_VARIABLES
