"""How each command's answer looks to people, byte by byte.

The data is what the services answer, written down, so that a page can be read here without a database.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import schemas

from chatctl.render.formats import ColorMode
from chatctl.render.table import draw
from chatctl.render.terminal import Terminal
from chatctl.render.views import view_of

ANSWERS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "answers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ANSWERS)
def test_the_page_of_an_answer(name: str, golden: Callable[[str, str], None]) -> None:
    answer = ANSWERS[name]
    page = io.StringIO()

    draw(view_of(answer["command"]).page(answer["data"]), Terminal(ColorMode.NEVER), page)

    golden(f"{name}.page", page.getvalue())


@pytest.mark.parametrize(
    "name", [name for name in ANSWERS if name.startswith(("purge", "sessions", "counters", "permissions"))]
)
def test_the_answer_is_one_that_the_command_may_give(name: str) -> None:
    answer = ANSWERS[name]
    envelope = {"chatctl": 1, "status": "success", "exit_code": 0, "run_id": None, "warnings": [], "errors": []}

    schemas.check_known({**envelope, **answer})
