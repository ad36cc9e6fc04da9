"""Tells others that a run has ended: a health check, a webhook, a command. Nobody who isn't there fails the run."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
from dataclasses import asdict, dataclass

from chatctl.observe.pings import Pings

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10.0
_COMMAND_SECONDS = 60.0


@dataclass(frozen=True)
class Ending:
    """How a command ended. `message` is the first error's, without secrets."""

    command: str
    context: str
    run_id: str | None
    status: str
    exit_code: int
    message: str | None

    @property
    def went_well(self) -> bool:
        """Whether a health check is told of success: done, or out of time and to be gone on with."""
        return self.exit_code in (0, 12)


@dataclass(frozen=True)
class Notifier:
    """Who is told: a health check's URL, a webhook's URL, and a command that gets JSON on its stdin."""

    ping_url: str | None = None
    webhook: str | None = None
    command: str | None = None

    def tell(self, ending: Ending) -> None:
        """Tells everybody. Never raises for what they do."""
        text = f"chatctl {ending.command}: {ending.status}"
        Pings(self.ping_url).send("success" if ending.went_well else "fail", text)
        if self.webhook is not None:
            _post(self.webhook, ending)
        if self.command is not None:
            _run(self.command, ending)


def _post(url: str, ending: Ending) -> None:
    import httpx

    try:
        answer = httpx.post(url, json={"event": "run_ended", **asdict(ending)}, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        # Never the URL: whoever knows it can write in the webhook's name.
        log.warning("The webhook could not be told: %s", type(problem).__name__)


def _run(command: str, ending: Ending) -> None:
    given = {"event": "run_ended", **asdict(ending)}
    variables = {"CHATCTL_ENDED": ending.command, "CHATCTL_STATUS": ending.status, "CHATCTL_RUN": ending.run_id or ""}
    try:
        done = subprocess.run(
            shlex.split(command),
            input=json.dumps(given).encode(),
            env={**os.environ, **variables},
            # What it writes is no data of ours.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            log.warning("The command that is told of ended runs ended with %s", done.returncode)
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        log.warning("The command that is told of ended runs could not be run: %s", type(problem).__name__)
