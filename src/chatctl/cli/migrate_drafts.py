"""`chatctl migrate rehearse` and `chatctl migrate revision`: what is done with revisions before they are applied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chatctl.cli.runtime import run
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.wiring import Wiring


def rehearse(
    ctx: typer.Context,
    revision: Annotated[str | None, typer.Argument(metavar="[REVISION]", help="How far.")] = None,
    phase: Annotated[str, typer.Option("--phase", metavar="expand|contract", help="The end of this phase.")] = "expand",
    from_dump: Annotated[
        Path | None,
        typer.Option("--from-dump", metavar="FILE.sql", help="The schema to start from."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="REVISION", help="The newest revision that the dump has.")
    ] = None,
) -> None:
    """Run pending revisions up, down and up again in a scratch copy of the schema. Exit 9 where they don't come back.

    Example: chatctl migrate rehearse --phase contract --from-dump schema.sql
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate import rehearsing
        from chatctl.services.migrate.planning import Options

        if phase not in ("expand", "contract"):
            raise UsageError(f"There is no phase '{phase}'.", hint="It is expand or contract.")
        if at is not None and from_dump is None:
            raise UsageError("--at goes with --from-dump.", hint="A database says itself which revisions it has.")
        wanted: Literal["expand", "contract"] = "contract" if phase == "contract" else "expand"
        dump = rehearsing.Dump(from_dump, at) if from_dump else None
        return rehearsing.rehearse(wiring.migration(read_only=True), Options("up", revision, wanted), dump)

    run(ctx, "migrate rehearse", work)


def revision(
    ctx: typer.Context,
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="What it changes.")],
    autogenerate: Annotated[bool, typer.Option("--autogenerate", help="Fill it with what the models ask for.")] = False,
) -> None:
    """Write a revision into your application's Alembic project, for review.

    Example: chatctl migrate revision -m "orders have a note" --autogenerate
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate.writing import write_revision

        return write_revision(wiring.migration(read_only=True), message, autogenerate=autogenerate)

    run(ctx, "migrate revision", work)
