"""Who is told how a purge went: the health check, Prometheus, the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chatctl.domain.result import Outcome, Result
from chatctl.errors import UsageError
from chatctl.observe.pings import Pings
from chatctl.observe.textfile import Gauge, write_textfile

log = logging.getLogger(__name__)


class Reporter:
    """Tells `pings` and `metrics_file`; with neither, nobody. What can't be told is logged, and fails nothing."""

    def __init__(self, pings: Pings | None = None, metrics_file: Path | None = None, context: str = "") -> None:
        self._pings = pings or Pings(None)
        self._metrics_file = metrics_file
        self._context = context

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Tells of the start, and of a failure inside the block."""
        self._pings.send("start")
        try:
            yield
        except BaseException as problem:
            if not isinstance(problem, UsageError):
                log.error("Storage Error: %s", problem)
            self._pings.send("fail", str(problem))
            self._write({"chatctl_purge_success": 0.0})
            raise

    def told(self, result: Result) -> None:
        """Tells how the purge came out."""
        done = result.outcome in (Outcome.DONE, Outcome.STOPPED_EARLY)
        deleted = result.data["deleted_chats"]
        self._pings.send("success" if done else "fail", f"Deleted {deleted} conversations")
        self._write({"chatctl_purge_success": float(done), **_figures(result.data)})

    def _write(self, figures: dict[str, float]) -> None:
        if self._metrics_file is None:
            return
        labels = (("context", self._context),)
        stamped = {"chatctl_purge_last_run_timestamp_seconds": time.time(), **figures}
        try:
            write_textfile(
                self._metrics_file, [Gauge(name, _HELP[name], value, labels) for name, value in stamped.items()]
            )
        except OSError as problem:
            log.warning("The metrics could not be written to %s: %s", self._metrics_file, problem.strerror)


_HELP = {
    "chatctl_purge_last_run_timestamp_seconds": "When the last purge ended, in epoch seconds.",
    "chatctl_purge_success": "Whether the last purge ended well.",
    "chatctl_purge_deleted_conversations": "Conversations that the last purge deleted.",
    "chatctl_purge_deleted_messages": "Messages that the last purge deleted.",
    "chatctl_purge_held_conversations": "Conversations that a hold kept.",
    "chatctl_purge_backlog_conversations": "Conversations that may go and are still there.",
    "chatctl_purge_duration_seconds": "How long the last purge took.",
}


def _figures(data: dict[str, Any]) -> dict[str, float]:
    keys = {
        "deleted_conversations": "deleted_chats",
        "deleted_messages": "deleted_messages",
        "held_conversations": "held",
        "backlog_conversations": "backlog",
        "duration_seconds": "seconds",
    }
    return {f"chatctl_purge_{name}": float(data[key]) for name, key in keys.items()}
