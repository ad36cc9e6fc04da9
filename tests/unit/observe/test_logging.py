"""Log lines carry the run's ID and no secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from chatctl.observe.logging import LOGGER_NAME, configure_logging, current_run_id


@pytest.fixture(autouse=True)
def _own_run() -> Iterator[None]:
    token = current_run_id.set("r-7")
    yield
    current_run_id.reset(token)
    logging.getLogger(LOGGER_NAME).handlers.clear()


def test_a_json_line_has_time_level_run_and_message() -> None:
    stream = io.StringIO()
    configure_logging(stream, as_json=True, verbose=False)

    logging.getLogger("chatctl.stores").warning("lost %s", "mysql://a:hunter2@h/d", extra={"fields": {"tries": 2}})

    line = json.loads(stream.getvalue())
    assert line["time"].endswith("Z")
    assert (line["level"], line["logger"], line["run_id"], line["tries"]) == ("warning", "chatctl.stores", "r-7", 2)
    assert line["message"] == "lost mysql://a:***@h/d"


def test_a_text_line_says_the_same() -> None:
    stream = io.StringIO()
    configure_logging(stream, as_json=False, verbose=True)

    logging.getLogger("chatctl.stores").debug("looking at %s", "redis://:hunter2@h/0")

    assert stream.getvalue().endswith("Z DEBUG chatctl.stores looking at redis://:***@h/0 run=r-7\n")


def test_a_traceback_is_masked() -> None:
    stream = io.StringIO()
    configure_logging(stream, as_json=True, verbose=False)

    try:
        raise RuntimeError("mysql://a:hunter2@h/d")
    except RuntimeError:
        logging.getLogger("chatctl").exception("failed")

    assert "hunter2" not in stream.getvalue()
    assert "RuntimeError" in json.loads(stream.getvalue())["traceback"]


def test_without_verbose_only_warnings_are_written_as_text() -> None:
    stream = io.StringIO()
    configure_logging(stream, as_json=False, verbose=False)

    logging.getLogger("chatctl").info("nothing special")

    assert stream.getvalue() == ""
