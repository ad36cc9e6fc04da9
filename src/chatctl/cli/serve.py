"""`chatctl serve`: the embedded API of the five systems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.extras import room
from chatctl.cli.groups import command
from chatctl.cli.runtime import invocation_of, run
from chatctl.domain.result import Result
from chatctl.errors import UsageError
from chatctl.observe.logging import configure_logging

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

app = command()

#: Where each system's clients look for it; with several systems, ray's.
_PORTS = {"ray": 8000, "toolboxai": 8009, "mentor": 3000, "simorgh": 8000, "worker": 8787}


@app.command()
def serve(
    ctx: typer.Context,
    system: Annotated[
        list[str] | None,
        typer.Option("--system", metavar="NAME", help="ray, toolboxai, mentor, simorgh or worker; all if left out."),
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", min=0, max=65_535, help="The port; 0 for any free one.")
    ] = None,
    auth: Annotated[
        str, typer.Option("--auth", metavar="on|off", help="Off takes the user from the request: loopback alone.")
    ] = "on",
    demo_user: Annotated[
        bool, typer.Option("--demo-user", help="Make the account demo with the password 'password': loopback alone.")
    ] = False,
) -> None:
    """Serve the systems' endpoints until SIGTERM; then finish what was begun.

    Example: chatctl serve --system mentor --port 3000
    """

    def work(wiring: Wiring) -> Result:
        if auth not in ("on", "off"):
            raise UsageError("--auth is on or off.")
        running = room("chatctl.api.running", "api", "chatctl serve")
        parts = room("chatctl.api.parts", "api", "chatctl serve")
        options = parts.Options(tuple(system or ()), auth == "on", demo_user)
        invocation = invocation_of(ctx)
        if not invocation.quiet:
            configure_logging(sys.stderr, as_json=True, verbose=invocation.verbose)
        urls: list[str] = []

        def ready(url: str) -> None:
            urls.append(url)
            if not invocation.quiet:
                invocation.terminal.tell(f"chatctl serves at {url}")

        chosen = _PORTS[system[0]] if system and len(system) == 1 and system[0] in _PORTS else 8000
        running.serve(wiring, options, host, chosen if port is None else port, ready)
        return Result({"url": urls[0] if urls else None, "auth": auth == "on"})

    run(ctx, "serve", work)
