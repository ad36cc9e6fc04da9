"""`chatctl counters`: whether a session number could be issued twice, and how to make sure that none is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.pages import Html, with_page
from chatctl.cli.runtime import invocation_of, run
from chatctl.domain.result import Result

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

app = group("Check and repair the counters that session numbers come from.")

_SCOPE_HELP = "general:yyyyMM, project:ID, or any session's ID."


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List the counters in Redis.

    Example: chatctl counters list
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.counters import checking

        return checking.list_counters(wiring.redis.counters)

    run(ctx, "counters list", work)


@app.command()
def show(ctx: typer.Context, scope: Annotated[str, typer.Argument(metavar="SCOPE", help=_SCOPE_HELP)]) -> None:
    """Show one counter beside the highest numbers that Redis and SQL know.

    Example: chatctl counters show general:202512
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.session_ids import parse_scope
        from chatctl.services.counters import checking

        parsed = parse_scope(scope)
        return checking.show(wiring.redis, wiring.high_water(read_only=True), wiring.archives(), parsed)

    run(ctx, "counters show", work)


@app.command()
def check(ctx: typer.Context) -> None:
    """Compare every counter with the highest number issued. Exit 9 where one could repeat a number.

    Example: chatctl counters check --output json
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.counters import checking

        return checking.check(wiring.redis, wiring.high_water(read_only=True), wiring.archives())

    run(ctx, "counters check", work)


@app.command()
def repair(
    ctx: typer.Context,
    scopes: Annotated[list[str] | None, typer.Argument(metavar="[SCOPE]...", help=_SCOPE_HELP)] = None,
    to: Annotated[int | None, typer.Option("--to", metavar="N", help="Raise one counter to N.")] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Raise counters above every number issued, while the system runs. Never lowers one.

    Example: chatctl counters repair
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.session_ids import parse_scope
        from chatctl.services.counters import repairing

        request = repairing.RepairRequest(tuple(parse_scope(scope) for scope in scopes or ()), to, dry_run)
        if not dry_run and invocation_of(ctx).settings.protected:
            consent(ctx, "Raise the counters that are behind?")
        marks = wiring.high_water(read_only=dry_run)
        return repairing.repair(wiring.redis, marks, wiring.archives(), request)

    run(ctx, "counters repair", work)


@app.command()
def growth(ctx: typer.Context, html: Html = None) -> None:
    """Show sessions per month and project, and where that leads. As a page with --html.

    Example: chatctl counters growth --html growth.html
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.counters.growth import growth as service

        marks = wiring.high_water(read_only=True)
        return service(wiring.redis.counters, marks, wiring.archives(), datetime.now(UTC))

    run(ctx, "counters growth", with_page(ctx, html, "counters", work))
