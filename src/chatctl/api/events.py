"""Server-sent events: what happens to a user's tasks, told to the same user's listeners on this server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pydantic_core

from chatctl.api.problems import Problem

CHANNELS = ("content-generation", "agent-status")
#: What a listener who reads nothing may have waiting.
_MOST_WAITING = 1_000


def event(name: str, data: Any) -> bytes:
    """One event, its data as JSON."""
    return b"event: " + name.encode() + b"\ndata: " + pydantic_core.to_json(data) + b"\n\n"


@dataclass(eq=False)
class _Listener:
    channel: str
    user: str | None
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(_MOST_WAITING))


class Hub:
    """The listeners of this server, `most` of them; `publish` may be called from any thread."""

    def __init__(self, most: int, heartbeat_seconds: float) -> None:
        self._most = most
        self._heartbeat = heartbeat_seconds
        self._listeners: set[_Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def open(self) -> None:
        """From now on there is a loop to publish to."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Ends every stream: a server that drains must not wait for them."""
        self._closed = True
        for listener in self._listeners:
            _put(listener, None)

    def publish(self, channel: str, name: str, data: Mapping[str, Any], user: str | None) -> None:
        """Tells the user's listeners."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, channel, user, event(name, dict(data)))

    def _tell(self, channel: str, user: str | None, text: bytes) -> None:
        for listener in self._listeners:
            if listener.channel == channel and listener.user in (None, user):
                _put(listener, text)

    def listen(self, channel: str, user: str | None) -> AsyncIterator[bytes]:
        """The events of a channel for `user` (everybody's where None). Raises Problem 404, and 503 for one too many."""
        if channel not in CHANNELS:
            raise Problem(404, "There is no such channel.")
        if len(self._listeners) >= self._most:
            raise Problem(503, "Too many streams are open.")
        return self._stream(channel, user)

    async def _stream(self, channel: str, user: str | None) -> AsyncIterator[bytes]:
        with self._listening(_Listener(channel, user)) as listener:
            yield b": listening\n\n"
            while not self._closed:
                try:
                    text = await asyncio.wait_for(listener.queue.get(), self._heartbeat)
                except TimeoutError:
                    yield b": alive\n\n"
                    continue
                if text is None:
                    return
                yield text

    @contextmanager
    def _listening(self, listener: _Listener) -> Iterator[_Listener]:
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)


def _put(listener: _Listener, text: bytes | None) -> None:
    if listener.queue.full():
        # Whoever doesn't read loses the oldest; the task's row still has its outcome.
        listener.queue.get_nowait()
    listener.queue.put_nowait(text)
