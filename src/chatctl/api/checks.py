"""What health says: each server behind this one, asked a moment ago. Nobody who asks for health waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
import pydantic_core

from chatctl import __version__
from chatctl.domain.sessions import iso
from chatctl.errors import ChatctlError

_SECONDS = 1.0
NOT_CONFIGURED = "not configured"

#: Raises ChatctlError where it isn't well; None where nobody configured it.
Check = Callable[[], None] | None


class Checks:
    """The last answers of `checks`. Without those named in `vital` nothing can be served."""

    def __init__(self, checks: Mapping[str, Check], vital: tuple[str, ...] = ("database",)) -> None:
        self._checks = checks
        self._vital = vital
        self.services: dict[str, dict[str, Any]] = {}
        self._answer: tuple[int, bytes] = (503, b'{"status":"starting"}')
        self._task: asyncio.Task[None] | None = None

    def answer(self) -> tuple[int, bytes]:
        """The answer to /health."""
        return self._answer

    @property
    def status(self) -> str:
        """healthy, degraded, or unhealthy where something vital is away."""
        wrong = [name for name, found in self.services.items() if found["status"] == "unhealthy"]
        if not wrong:
            return "healthy"
        return "unhealthy" if any(name in self._vital for name in wrong) else "degraded"

    async def start(self) -> None:
        """Asks once, then goes on asking."""
        await anyio.to_thread.run_sync(self.ask)
        self._task = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """Asks no more."""
        if self._task is not None:
            self._task.cancel()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            await anyio.to_thread.run_sync(self.ask)

    def ask(self) -> None:
        """Asks each server."""
        self.services = {name: self._ask(check) for name, check in self._checks.items()}
        body = {
            "status": self.status,
            "version": __version__,
            "checked_at": iso(datetime.now(UTC)),
            "services": self.services,
            "checks": {name: found["status"] == "healthy" for name, found in self.services.items()},
        }
        self._answer = (503 if self.status == "unhealthy" else 200, pydantic_core.to_json(body))

    def _ask(self, check: Check) -> dict[str, Any]:
        if check is None:
            return {"status": NOT_CONFIGURED}
        started = time.perf_counter()
        try:
            check()
        except ChatctlError as problem:
            # Which server it is and why is for the log and its keepers, not for whoever can reach this port.
            return {"status": "unhealthy", "error": problem.code}
        return {"status": "healthy", "ms": round((time.perf_counter() - started) * 1000, 2)}
