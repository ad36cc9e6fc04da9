"""On a terminal there are colours and a bar, on stderr alone; NO_COLOR takes the colours away."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Callable

import pytest
from tests.support.terminals import read_to_end

Start = Callable[..., subprocess.Popen[str]]

#: What sets a colour or a weight, unlike what moves the cursor.
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def test_long_work_draws_a_bar_with_rate_and_leaves_stdout_alone(start_specimen: Start) -> None:
    ours, theirs = pty.openpty()
    process = start_specimen("specimen", "long", "--seconds", "1", stderr=theirs)
    os.close(theirs)
    drawn = read_to_end(ours)
    stdout, _ = process.communicate(timeout=120)
    os.close(ours)

    assert "rows/s" in drawn
    assert "ready" in drawn
    assert stdout == "rows  100\n"


@pytest.mark.parametrize(
    ("arguments", "env", "colored"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    start_specimen: Start, arguments: tuple[str, ...], env: dict[str, str], colored: bool
) -> None:
    ours, theirs = pty.openpty()
    process = start_specimen(*arguments, "specimen", "show", stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    shown = read_to_end(ours)
    process.communicate(timeout=120)
    os.close(ours)

    assert "[bold]plain[/bold]" in shown
    assert bool(COLOURS.search(shown)) is colored
