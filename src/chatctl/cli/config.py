"""`chatctl config`: what the configuration says, and whether it can be used."""

from __future__ import annotations

from typing import Annotated

import typer

from chatctl.cli.groups import group
from chatctl.cli.runtime import invocation_of, run_unwired
from chatctl.domain.result import Result

app = group("Show and check the configuration.")


@app.command()
def show(
    ctx: typer.Context,
    source: Annotated[bool, typer.Option("--source", help="Say where each value came from.")] = False,
) -> None:
    """Show every value of the chosen context, passwords masked.

    Example: chatctl config show --source
    """

    def work() -> Result:
        from chatctl.services import configuration

        return configuration.show(invocation_of(ctx).settings, with_sources=source)

    run_unwired(ctx, "config show", work)


@app.command()
def check(ctx: typer.Context) -> None:
    """Check the files and all that the context names.

    Example: chatctl config check
    """

    def work() -> Result:
        from chatctl.services import configuration

        return configuration.check(invocation_of(ctx).settings)

    run_unwired(ctx, "config check", work)
