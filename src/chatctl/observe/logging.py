"""The log on stderr: text for people, JSON lines for machines, each with its run's ID and no secret.

Only the root of chatctl's own loggers is set up here; nobody else's.
"""

from __future__ import annotations

import json
import logging
import time
from contextvars import ContextVar
from typing import TextIO

from chatctl.observe.masking import mask

#: The run that the current thread or task works for.
current_run_id: ContextVar[str | None] = ContextVar("current_run_id", default=None)

LOGGER_NAME = "chatctl"


class _UtcFormatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


class _TextFormatter(_UtcFormatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        run_id = current_run_id.get()
        text = super().format(record)
        return mask(f"{text} run={run_id}" if run_id else text)


class _JsonFormatter(_UtcFormatter):
    """One JSON object a line: time (UTC), level, logger, run_id, message, and the fields that were passed along."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "run_id": current_run_id.get(),
            "message": mask(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = mask(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(stream: TextIO, *, as_json: bool, verbose: bool) -> None:
    """Sends chatctl's log to `stream`: warnings and worse, with `verbose` everything.

    As JSON, what is worth telling a person (level info) is logged too. Calling it again replaces the former set-up.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    logger = logging.getLogger(LOGGER_NAME)
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO if as_json else logging.WARNING)
