"""Hands out chunks, read ahead where that pays, and keeps Python's collector from looking at each of their rows.

Knows no database.
"""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from chatctl.domain.progress import StopSignal
from chatctl.errors import InterruptedRunError
from chatctl.services.transfer.readers import Chunk, RowSource

#: How many chunks wait at most; with the ones in hand they bound the memory.
_WAITING = 4

#: How often a reader that waits for room looks whether anybody still wants its chunks.
_LOOK_SECONDS = 0.2

#: How long nothing may come until a stop that was asked for is heeded without waiting any longer.
_SILENCE_SECONDS = 1.0

#: New containers until the collector looks; by default 700, which is each hundredth message.
_COLLECT_EVERY = 200_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """While the block runs, cycles are looked for rarely: rows make none, and the search takes a third of the time."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class Chunks:
    """The chunks of `source`, one after the other, each as it is asked for."""

    def __init__(self, source: RowSource) -> None:
        self._iterator = iter(source)
        self._next: Chunk | None = None
        self._looked = False

    @property
    def ready(self) -> bool:
        """Whether `peek` answers without waiting for somebody else."""
        return True

    def peek(self) -> Chunk | None:
        """The chunk that `take` would hand out; None at the end. Raises what reading it raises."""
        if not self._looked:
            self._next = self._fetch()
            self._looked = True
        return self._next

    def take(self) -> Chunk | None:
        """The next chunk; None at the end."""
        chunk = self.peek()
        self._looked = chunk is None
        return chunk

    def _fetch(self) -> Chunk | None:
        return next(self._iterator, None)

    def close(self) -> None:
        """Ends the reading."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def chunks_of(source: RowSource, stop: StopSignal, *, beside_server: bool) -> Chunks:
    """The chunks of `source`: read ahead where a server works meanwhile, or where a stream may keep silent."""
    return Prefetched(source, stop) if beside_server or source.has_streams else Chunks(source)


class Prefetched(Chunks):
    """The chunks of `source`, read by a thread while whoever takes them waits for a server.

    Where nothing comes (somebody types, a pipe is silent) and `stop` is asked for, InterruptedRunError is raised.
    """

    def __init__(self, source: RowSource, stop: StopSignal) -> None:
        super().__init__(source)
        self._stop = stop
        self._chunks: queue.Queue[Chunk | BaseException | None] = queue.Queue(_WAITING)
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether a chunk, or the end, has been read."""
        return self._looked or not self._chunks.empty()

    def _fetch(self) -> Chunk | None:
        waited = 0.0
        while True:
            try:
                found = self._chunks.get(timeout=_LOOK_SECONDS)
                break
            except queue.Empty:
                waited += _LOOK_SECONDS
                if self._stop.requested and waited > _SILENCE_SECONDS:
                    raise InterruptedRunError("Interrupted while waiting for input.") from None
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Ends the reading."""
        self._unwanted.set()

    def _read(self) -> None:
        try:
            for chunk in self._iterator:
                if not self._put(chunk):
                    return
            self._put(None)
        except BaseException as problem:
            self._put(problem)

    def _put(self, item: Chunk | BaseException | None) -> bool:
        """Whether anybody wants `item`."""
        while not self._unwanted.is_set():
            try:
                self._chunks.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False
