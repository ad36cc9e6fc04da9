"""`chatctl permissions`: who may enter which project, and what is remembered of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import invocation_of, run
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

app = group("Ask who may enter a project.")
cache = group("Show and flush remembered grants.")
app.add_typer(cache, name="cache")

UserOption = Annotated[str | None, typer.Option("--user", metavar="USER", help="This user's alone.")]
ProjectOption = Annotated[str | None, typer.Option("--project", metavar="PROJECT", help="This project's alone.")]


@app.command()
def check(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER")],
    project: Annotated[str, typer.Argument(metavar="PROJECT")],
    explain: Annotated[bool, typer.Option("--explain", help="Say what was looked at and what decided.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask the database, whatever is remembered.")] = False,
) -> None:
    """May USER enter PROJECT? Exit 0 for yes, 8 for no, 11 for no such project, 5 where nobody answers.

    Example: chatctl permissions check jane.smith 12345 --explain
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.permissions import probing

        return probing.check(wiring.prober(cached=not no_cache), user, project, explain=explain)

    run(ctx, "permissions check", work)


@app.command("list")
def list_(ctx: typer.Context, user: UserOption = None, project: ProjectOption = None) -> None:
    """List a user's projects, or a project's users.

    Example: chatctl permissions list --user jane.smith
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.permissions import listing

        if user is not None and project is None:
            return listing.projects_of(wiring.permission_source, user)
        if project is not None and user is None:
            return listing.users_of(wiring.permission_source, project)
        raise UsageError("Name either a user or a project.", hint="--user USER, or --project PROJECT")

    run(ctx, "permissions list", work)


@app.command()
def audit(
    ctx: typer.Context,
    probes: Annotated[
        Path | None, typer.Option("--probes", metavar="FILE", help="CSV of user,project to answer besides; - is stdin.")
    ] = None,
) -> None:
    """Compare remembered grants with the database, and look at what the account may do. Exit 9 on findings.

    Example: chatctl permissions audit --probes users.csv --output csv
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.permissions import listing
        from chatctl.services.permissions.probe_files import read_probes

        pairs = None if probes is None else read_probes(probes)
        return listing.audit(wiring.permission_source, wiring.redis.permission_cache, pairs)

    run(ctx, "permissions audit", work)


@cache.command("show")
def cache_show(ctx: typer.Context, user: UserOption = None, project: ProjectOption = None) -> None:
    """List the remembered grants that still hold.

    Example: chatctl permissions cache show --user jane.smith
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.permissions import listing

        return listing.show_cache(wiring.redis.permission_cache, user, project)

    run(ctx, "permissions cache show", work)


@cache.command("flush")
def cache_flush(
    ctx: typer.Context,
    user: UserOption = None,
    project: ProjectOption = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Forget remembered grants: the next probes ask the database.

    Example: chatctl permissions cache flush --project 12345
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.permissions import listing

        if not dry_run and invocation_of(ctx).settings.protected:
            consent(ctx, "Forget the remembered grants?")
        return listing.flush_cache(wiring.redis.permission_cache, user, project, dry_run=dry_run)

    run(ctx, "permissions cache flush", work)
