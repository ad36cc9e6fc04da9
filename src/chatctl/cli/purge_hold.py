"""`chatctl purge hold`: what no purge may touch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import run
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.domain.retention import HoldKind
    from chatctl.wiring import Wiring

app = group("Keep conversations from every purge.")


@app.command()
def add(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")],
    chat: Annotated[str | None, typer.Option("--chat", metavar="ID", help="One conversation.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="All of a user's.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="ID", help="All of an account's.")] = None,
    project: Annotated[str | None, typer.Option("--project", metavar="ID", help="All of a project's.")] = None,
    author: Annotated[str | None, typer.Option("--author", metavar="NAME", help="Who asks for it; else you.")] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION|DATE", help="Until when: 90d, or 2027-01-31.")
    ] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Hold a conversation, or all of a user, account or project. No later batch of any purge touches it.

    Example: chatctl purge hold add --user u-1 --reason "case 4711"
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import holding

        kind, value = _one_of(chat=chat, user=user, account=account, project=project)
        if wiring.settings.protected and not dry_run:
            consent(ctx, "Record this hold?")
        until, target = holding.expiry(expires, datetime.now(UTC)), wiring.purge(read_only=dry_run)
        return holding.add(target, kind, value, reason, author, until, dry_run=dry_run)

    run(ctx, "purge hold add", work)


@app.command("list")
def list_(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Released and expired ones too.")] = False,
) -> None:
    """List the holds in force.

    Example: chatctl purge hold list --all
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import holding

        return holding.list_holds(wiring.purge(read_only=True), released=all_)

    run(ctx, "purge hold list", work)


@app.command()
def release(
    ctx: typer.Context,
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's ID.")],
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """End a hold. It stays on record.

    Example: chatctl purge hold release h-3f9a5c0d1e2b
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import holding

        if wiring.settings.protected and not dry_run:
            consent(ctx, "Release this hold?")
        return holding.release(wiring.purge(read_only=dry_run), hold_id, dry_run=dry_run)

    run(ctx, "purge hold release", work)


def _one_of(**values: str | None) -> tuple[HoldKind, str]:
    given = [(kind, value) for kind, value in values.items() if value is not None]
    if len(given) != 1:
        raise UsageError("A hold is on one thing: --chat, --user, --account or --project.")
    kind, value = given[0]
    return kind, value  # type: ignore[return-value]  # the names above are the kinds
