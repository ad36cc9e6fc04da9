"""A proxy of the tests' own between chatctl and a database server: it counts what passes, and cuts connections.

Bytes are counted in both directions, and requests to commit. A cut comes once; whoever connects again gets through.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import Self

import sqlalchemy as sa

_CHUNK = 65_536
#: How MariaDB's and PostgreSQL's protocols spell the request: as the text of a simple query.
_COMMIT = b"COMMIT"


class Cut(Enum):
    """What a cut leaves of the request, and of its answer."""

    BEFORE = "the request never arrives"
    HALVED = "half of the request arrives"
    ANSWER_LOST = "the server has answered, and the client never hears"
    AT_ONCE = "the request arrives while the connection breaks"


@dataclass(frozen=True)
class CommitCut:
    """Cuts the connection of the `number`th request to commit, counted from 1."""

    number: int
    how: Cut


@dataclass(frozen=True)
class ByteCut:
    """Cuts the connection over which the byte `offset` of all that one side sends would pass."""

    offset: int
    from_server: bool = False


class Proxy:
    """Passes connections on to the server of `url`; a context manager. `url` is then the way through the proxy.

    Every chunk waits for `delay_seconds`, as on a long line.
    """

    def __init__(self, url: str, cut: CommitCut | ByteCut | None = None, delay_seconds: float = 0.0) -> None:
        target = sa.make_url(url)
        self._target = (target.host or "127.0.0.1", target.port)
        self._cut = cut
        self._delay = delay_seconds
        self._lock = threading.Lock()
        self.commits = 0
        self.sent = {False: 0, True: 0}
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = target.set(host="127.0.0.1", port=self._listener.getsockname()[1]).render_as_string(
            hide_password=False
        )
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        # A thread that waits in accept() isn't woken by close().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            line = _Line(client, socket.create_connection(self._target))
            self._start(self._pass_on, line, False)
            self._start(self._pass_on, line, True)

    def _pass_on(self, line: _Line, from_server: bool) -> None:
        source, target = (line.server, line.client) if from_server else (line.client, line.server)
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if self._delay:
                    time.sleep(self._delay)
                kept, how = self._decide(chunk, from_server)
                if from_server and line.deaf:
                    break
                if how is Cut.ANSWER_LOST:
                    line.deaf = True  # the answer's arrival here is what ends the line
                target.sendall(kept)
                if how not in (None, Cut.ANSWER_LOST):
                    break
        line.close()

    def _decide(self, chunk: bytes, from_server: bool) -> tuple[bytes, Cut | None]:
        """What is passed on of a chunk, and whether its line is cut then."""
        with self._lock:
            before = self.sent[from_server]
            self.sent[from_server] += len(chunk)
            commits = not from_server and _COMMIT in chunk
            self.commits += commits
            cut = self._cut
            if isinstance(cut, CommitCut) and commits and self.commits == cut.number:
                self.cuts += 1
                kept = {Cut.BEFORE: 0, Cut.HALVED: len(chunk) // 2}.get(cut.how, len(chunk))
                return chunk[:kept], cut.how
            if isinstance(cut, ByteCut) and cut.from_server == from_server and 0 <= cut.offset - before < len(chunk):
                self.cuts += 1
                return chunk[: cut.offset - before], Cut.HALVED
            return chunk, None


class _Line:
    """Both sides of one connection. A `deaf` one ends as soon as the server answers."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.deaf = False

    def close(self) -> None:
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
