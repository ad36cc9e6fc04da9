"""Runs the server: one process, drained when it is told to stop."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address

import uvicorn

from chatctl.api.app import create_app
from chatctl.api.parts import Options, Parts
from chatctl.errors import CannotConnectError, UsageError
from chatctl.wiring import Wiring

DRAIN_SECONDS = 30
_BACKLOG = 2_048


class _Server(uvicorn.Server):
    """Tells systemd and the caller when it is ready, and when it stops."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None], parts: Parts) -> None:
        super().__init__(config)
        self._ready = ready
        self._parts = parts

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, then says so."""
        await super().startup(sockets)
        # What is loaded by now stays: looking through it again and again would hold up every request for 0.1 s.
        gc.collect()
        gc.freeze()
        if not self.should_exit and sockets:
            host, port, *_ = sockets[0].getsockname()
            notify("READY=1")
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more, ends the streams, and waits for the requests that are under way."""
        notify("STOPPING=1")
        self._parts.hub.close()
        await super().shutdown(sockets)


def require_loopback(host: str, option: str) -> None:
    """Raises UsageError where others than this machine could reach a server that needs no password."""
    if not is_loopback(host):
        raise UsageError(f"{option} is for loopback alone, not for {host}.", hint="--host 127.0.0.1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def serve(wiring: Wiring, options: Options, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what was begun. `ready` is told the URL.

    Raises CannotConnectError where the address can't be had.
    """
    if not options.auth:
        require_loopback(host, "--auth off")
    if options.demo_user:
        require_loopback(host, "--demo-user")
    wiring.serving.prepare()
    listening = _listen(host, port)
    try:
        parts = Parts(wiring, options)
        config = uvicorn.Config(
            create_app(parts),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            backlog=_BACKLOG,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        _Server(config, ready, parts).run([listening])
    except KeyboardInterrupt:
        # uvicorn has drained, and raises the signal again for whoever stands behind it.
        return
    finally:
        listening.close()


def notify(state: str) -> None:
    """Tells systemd, where it started us and wants to know (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        try:
            client.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
        except OSError:
            return


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, each answer waits for an ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as problem:
        listening.close()
        raise CannotConnectError(f"{host}:{port} can't be listened on: {problem.strerror}.", hint="--port N") from None
    listening.set_inheritable(True)
    return listening
