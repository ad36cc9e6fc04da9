"""`chatctl doctor`: what around the data is not as it must be, why it matters, and how it is mended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.groups import command
from chatctl.cli.runtime import run, run_unwired
from chatctl.cli.surroundings import surroundings
from chatctl.domain.result import Result

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

app = command()


@app.command()
def doctor(
    ctx: typer.Context,
    purposes: Annotated[
        list[str] | None,
        typer.Option(
            "--for", metavar="WORK", help="Only what this needs: migrate, regroup, counters, purge, backup, serve."
        ),
    ] = None,
    names: Annotated[
        list[str] | None, typer.Option("--check", metavar="NAME", help="Only this check; may be repeated.")
    ] = None,
    list_checks: Annotated[bool, typer.Option("--list-checks", help="Say what is checked, and why.")] = False,
    replica: Annotated[str | None, typer.Option("--replica", metavar="URL", help="A replica, for its lag.")] = None,
    env_file: Annotated[Path, typer.Option("--env-file", metavar="FILE", help="The application's.")] = Path(".env"),
    grants: Annotated[bool, typer.Option("--grants", help="Print the least privileges of each command group.")] = False,
    groups: Annotated[
        list[str] | None, typer.Option("--group", metavar="GROUP", help="With --grants: only this group.")
    ] = None,
    account: Annotated[str, typer.Option("--account", metavar="NAME", help="With --grants: for whom.")] = "chatctl",
) -> None:
    """Check the machine, the servers, the schema, backups and services. Exit 9 where something is found.

    Example: chatctl doctor --for migrate
    """

    def listed() -> Result:
        from chatctl.services.doctor import checking

        return checking.listing(purposes or ())

    def granted(wiring: Wiring) -> Result:
        from chatctl.services.doctor import grants as service

        settings, given = wiring.settings, wiring.settings.permissions_database
        permissions = wiring.database_at(given.reveal(), read_only=True) if given else None
        ground = service.Ground(wiring.database(read_only=True), permissions, wiring.layout, settings.journal_schema)
        return service.grants(ground, account, groups or ())

    def examined(wiring: Wiring) -> Result:
        from chatctl.services.doctor import checking

        return checking.examine(surroundings(wiring, replica, env_file), purposes or (), names or ())

    if list_checks:
        run_unwired(ctx, "doctor", listed)
    else:
        run(ctx, "doctor", granted if grants else examined)
