"""Requests that wait for an answer, so that their user can stop them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class InFlight:
    """By user and chat. Lives in one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], set[asyncio.Event]] = {}

    async def wait(self, user: str, chat: str, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` returns, or None once it was stopped; then its outcome is nobody's."""
        stopped = asyncio.Event()
        self._waiting.setdefault((user, chat), set()).add(stopped)
        working = asyncio.ensure_future(work)
        waiting = asyncio.ensure_future(stopped.wait())
        try:
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            working.add_done_callback(_forget)
            return None
        finally:
            waiting.cancel()
            left = self._waiting[user, chat]
            left.discard(stopped)
            if not left:
                del self._waiting[user, chat]

    def stop(self, user: str | None, chat: str) -> bool:
        """Stops what waits, whoever's it is where `user` is None; False where nothing does."""
        wanted = [key for key in self._waiting if key[1] == chat] if user is None else [(user, chat)]
        waiting = {stopped for key in wanted for stopped in self._waiting.get(key, ())}
        for stopped in waiting:
            stopped.set()
        return bool(waiting)


def _forget(task: asyncio.Future[Any]) -> None:
    # Whoever stopped it doesn't want to hear how it ended.
    if not task.cancelled():
        task.exception()
