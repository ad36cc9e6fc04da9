"""One value in a table's cell and in a CSV field."""

from __future__ import annotations

from typing import Any

import pytest

from chatctl.render.cells import for_machines, for_people, harmless


@pytest.mark.parametrize(
    ("value", "people", "machines"),
    [
        (None, "", ""),
        (True, "yes", "true"),
        (False, "no", "false"),
        (1_234_567, "1,234,567", "1234567"),
        (1234.5, "1,234.5", "1234.5"),
        (100.0, "100", "100.0"),
        ("a\tb\nc", "a\\tb\\nc", "a\tb\nc"),
        (["x", 1], "x, 1", '["x",1]'),
        ({"a": None}, '{"a":null}', '{"a":null}'),
        ("گپ", "گپ", "گپ"),
    ],
)
def test_a_value_is_written_for_people_and_for_machines(value: Any, people: str, machines: str) -> None:
    assert for_people(value) == people
    assert for_machines(value) == machines


def test_no_control_character_reaches_a_terminal() -> None:
    every = "".join(map(chr, (*range(32), *range(127, 160))))

    assert not set(harmless(every)) & set(every) - {"\n", "\t"}
