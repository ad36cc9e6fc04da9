"""What the routers share: the services, admission, events, checks and figures of one server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from fastapi import Request

from chatctl.api.admission import Admission
from chatctl.api.checks import Check, Checks
from chatctl.api.events import Hub
from chatctl.api.figures import Figures
from chatctl.api.in_flight import InFlight
from chatctl.domain.limits import Rule
from chatctl.errors import ChatctlError, ConfigurationError, PermissionSourceError, UsageError
from chatctl.services.chatting.systems import NAMES, Foundations, Systems
from chatctl.settings.serving import ServeSettings
from chatctl.wiring import Wiring

log = logging.getLogger(__name__)

_FLUSH_SECONDS = 1.0


@dataclass(frozen=True)
class Options:
    """What `chatctl serve` was asked for."""

    systems: tuple[str, ...] = ()
    auth: bool = True
    demo_user: bool = False

    def __post_init__(self) -> None:
        for name in self.systems:
            if name not in NAMES:
                raise UsageError(f"There is no system '{name}'.", hint=f"It is one of {', '.join(NAMES)}.")


class Parts:
    """Built from the stores of `wiring`; `start` and `stop` stand around serving."""

    def __init__(self, wiring: Wiring, options: Options) -> None:
        self.options = options
        self.settings: ServeSettings = wiring.settings.serve
        self._foundations: Foundations = wiring.serving.foundations(auth=options.auth)
        self._wiring = wiring
        self.in_flight = InFlight()
        self.hub = Hub(self.settings.max_streams, self.settings.heartbeat_seconds)
        self.figures = Figures(self._run_figures)
        self.systems = Systems(self._foundations, self.hub, self.figures.answer)
        self.served = self._served(options.systems)
        self.checks = Checks(self._checks())
        self.tokens = wiring.serving.tokens
        burst = Rule(self.settings.burst_size, 1)
        rules = (Rule(self.settings.requests_per_minute, 60), burst)
        #: How often event streams may be opened.
        self.stream_rules = (Rule(self.settings.streams_per_minute, 60), burst)
        is_alive = self.systems.logins.is_alive if "toolboxai" in self.served else None
        self.admission = Admission(self.tokens, wiring.serving.limiter(), rules, auth=options.auth, is_alive=is_alive)
        self._flusher: asyncio.Task[None] | None = None
        if options.demo_user:
            self.systems.directory.make_demo()

    def _served(self, wanted: tuple[str, ...]) -> list[str]:
        served = self.systems.available(wanted or NAMES)
        for name in wanted:
            if (problem := self.systems.why_not(name)) is not None:
                raise problem
        if not served:
            raise ConfigurationError(
                "None of the systems can be served on this database.", hint="chatctl migrate makes the tables."
            )
        return served

    def _checks(self) -> dict[str, Check]:
        model = self.systems.answering.model
        numbered = self._foundations.numbered
        return {
            "database": self.systems.check_database,
            "redis": self._check_redis,
            "sql_auth": self._check_permissions if numbered and not self._wiring.permission_source.why_closed else None,
            "model": model.check if model.configured else None,
            "mcp": None,
        }

    def _check_redis(self) -> None:
        redis = self._wiring.serving.redis
        try:
            redis.ping()
        except ChatctlError:
            redis.servers.revive()
            redis.ping()

    def _check_permissions(self) -> None:
        try:
            self._wiring.permission_source.project("0")
        except PermissionSourceError as problem:
            log.warning("%s", problem.message)
            raise

    def _run_figures(self) -> list[tuple[str, str, int, float | None]]:
        return self.systems.run_figures()

    async def start(self) -> None:
        """Begins to check, to flush and to work."""
        self.hub.open()
        await self.checks.start()
        if "simorgh" in self.served:
            log.info("Session ID service initialized")
        if "toolboxai" in self.served:
            await self.admission.run(self.systems.toolboxai.start)
        if "worker" in self.served:
            self._flusher = asyncio.create_task(self._flush_again_and_again())

    async def stop(self) -> None:
        """Ends what `start` began; nothing that was answered is lost."""
        self.hub.close()
        await self.checks.stop()
        if self._flusher is not None:
            self._flusher.cancel()
            await self._flush()
        if "toolboxai" in self.served:
            with contextlib.suppress(ChatctlError):
                await self.admission.run(self.systems.toolboxai.stop)

    async def _flush_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        with contextlib.suppress(ChatctlError):
            await self.admission.run(self.systems.worker.clock.flush)


def parts_of(request: Request) -> Parts:
    """The parts of the server that got the request."""
    parts: Parts = request.app.state.parts
    return parts
