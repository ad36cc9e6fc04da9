"""`chatctl migrate lint`: tells what schema changes would do to an application in use, before they run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.runtime import invocation_of, run
from chatctl.domain.result import Result
from chatctl.errors import UsageError
from chatctl.render.annotations import write_annotations

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

_GITHUB = "github"


def lint(
    ctx: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE.sql", help="SQL files; else revisions.")] = None,
    dialect: Annotated[
        str | None,
        typer.Option(metavar="sqlite|mariadb|mysql|postgresql", help="The engine; nothing is connected to then."),
    ] = None,
    script_location: Annotated[
        str | None, typer.Option(metavar="DIR", help="An Alembic project instead of the layout's revisions.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(metavar="FILE.sql", help="The tables that are there, instead of the database's.")
    ] = None,
    all_revisions: Annotated[bool, typer.Option("--all", help="All revisions, not the pending ones alone.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings exit 9, too.")] = False,
    output: Annotated[
        str | None,
        typer.Option("--format", "--output", "-o", metavar="table|json|yaml|csv|github", help="How it is written."),
    ] = None,
) -> None:
    """Find what blocks, rewrites or breaks before it runs. Exit 9 where there is an error.

    Example: chatctl migrate lint change.sql --dialect mariadb --schema dump.sql
    """
    if files and (script_location or all_revisions):
        raise typer.BadParameter("FILE.sql goes with neither --script-location nor --all.", param_hint="FILE.sql")
    if output is not None and output != _GITHUB:
        _remember_output(ctx, output)

    def work(wiring: Wiring) -> Result:
        from chatctl.services.lint import linting
        from chatctl.services.lint.projects import find_project

        wanted = linting.terms(
            dialect, lambda: wiring.database(read_only=True), schema, strict=strict, all_revisions=all_revisions
        )
        if files:
            return linting.lint_files(files, wanted)
        place = script_location or wiring.settings.migrations_script_location
        if place is not None:
            return linting.lint_project(find_project(place), wanted)
        return linting.lint_layout(wiring.layout, wanted)

    run(ctx, "migrate lint", work, writer=write_annotations if output == _GITHUB else None)


def _remember_output(ctx: typer.Context, output: str) -> None:
    try:
        invocation_of(ctx).remember("output", output)
    except ValueError as problem:
        raise UsageError(str(problem), hint="lint writes github annotations, too.") from None
