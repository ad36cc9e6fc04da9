"""The embedded API in this process: a real server on a free port, with real stores behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import uvicorn

from chatctl.api.app import create_app
from chatctl.api.parts import Options, Parts
from chatctl.services.chatting.preparing import prepare
from chatctl.services.identity.accounts import NewAccount
from chatctl.settings import load_settings
from chatctl.settings.flags import Flags
from chatctl.wiring import Wiring

SECRET = "a secret that is long enough to sign with, for tests"
PASSWORD = "correct horse battery"
#: So that no test meets the limits by chance.
UNLIMITED = {"CHATCTL_SERVE_REQUESTS_PER_MINUTE": "10000000", "CHATCTL_SERVE_BURST_SIZE": "10000000"}


@dataclass
class Api:
    """A server that is running."""

    url: str
    parts: Parts
    wiring: Wiring
    _clients: list[httpx.Client] = field(default_factory=list)

    def client(self, user: str | None = None, role: str = "user") -> httpx.Client:
        """A client that sends the token of `user`; nobody's where None."""
        headers = {"Authorization": f"Bearer {self.token(user, role)}"} if user else {}
        made = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self._clients.append(made)
        return made

    def token(self, user: str, role: str = "user", lifetime: timedelta = timedelta(hours=1)) -> str:
        """A token of `user`."""
        return self.parts.tokens.issue(user, role, lifetime)

    def account(self, name: str, role: str = "user", user_id: str | None = None) -> str:
        """Makes an account with the tests' password; its user's ID."""
        wanted = NewAccount(name, f"{name}@example.org", role, user_id, PASSWORD)
        user: str = self.parts.systems.directory.create(wanted).data["user_id"]
        return user

    def close(self) -> None:
        """Closes the clients."""
        for client in self._clients:
            client.close()


@contextmanager
def running_api(
    folder: Path,
    database: str,
    redis: str,
    *,
    layout: str = "native",
    options: Options | None = None,
    env: Mapping[str, str] | None = None,
    migrated: bool = False,
) -> Iterator[Api]:
    """A server on `database` and `redis`; the tables are made unless they are `migrated`."""
    variables = {
        "HOME": str(folder),
        "CHATCTL_DATABASE": database,
        "CHATCTL_REDIS_URL": redis,
        "CHATCTL_LAYOUT": layout,
        "CHATCTL_SERVE_JWT_SECRET": SECRET,
        **UNLIMITED,
        **(env or {}),
    }
    wiring = Wiring(load_settings(Flags(), variables, folder))
    try:
        if not migrated:
            prepare(wiring.migration())
        parts = Parts(wiring, options or Options())
        config = uvicorn.Config(
            create_app(parts),
            port=0,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise AssertionError("The server did not start.")
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        api = Api(f"http://127.0.0.1:{port}", parts, wiring)
        try:
            yield api
        finally:
            api.close()
            server.should_exit = True
            thread.join(20)
    finally:
        wiring.close()
