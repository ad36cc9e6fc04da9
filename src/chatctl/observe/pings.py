"""Health-check pings: a job that is watched from outside says that it started, succeeded or failed.

A ping that can't be delivered is the watcher's affair: it never keeps a job from its work, and never fails it.
"""

from __future__ import annotations

import logging
from typing import Literal

log = logging.getLogger(__name__)

Moment = Literal["start", "success", "fail"]

_TIMEOUT_SECONDS = 5.0


class Pings:
    """Pings `url` (as it is for success, `/start` and `/fail` below it); nobody where it is None."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    def send(self, moment: Moment, text: str = "") -> None:
        """Tells of `moment`, with a line of text. Never raises for what the watcher does."""
        if self._url is None:
            return
        # Most commands ping nobody, and the client takes a while to load.
        import httpx

        below = "" if moment == "success" else f"/{moment}"
        try:
            answer = httpx.post(self._url.rstrip("/") + below, content=text.encode(), timeout=_TIMEOUT_SECONDS)
            answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            log.warning("The health check could not be told (%s): %s", moment, type(problem).__name__)
