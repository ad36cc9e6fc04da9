"""`chatctl env`: checks, compares and converts the applications' `.env` files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import invocation_of, run_unwired
from chatctl.domain.result import Result
from chatctl.errors import UsageError

app = group("Check, compare and convert .env files.")

EnvironmentName = Literal["development", "staging", "production"]
Environment = Annotated[
    EnvironmentName | None, typer.Option("--environment", "-e", help="What the file is for; else what it says itself.")
]
System = Annotated[
    str | None, typer.Option("--system", metavar="NAME", help="The system, where the file doesn't show.")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The file.")]


@app.command()
def check(
    ctx: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help=".env if nothing is said.")] = None,
    environment: Environment = None,
    system: System = None,
) -> None:
    """Find what is missing, malformed or unsafe. Exit 9 where there is something.

    Example: chatctl env check .env --environment production
    """

    def work() -> Result:
        from chatctl.services.environment import checking

        return checking.check(files or [Path(".env")], environment, system)

    run_unwired(ctx, "env check", work)


@app.command()
def diff(ctx: typer.Context, old: File, new: File) -> None:
    """Compare two files by name; a secret is only said to differ.

    Example: chatctl env diff .env.backup .env
    """

    def work() -> Result:
        from chatctl.services.environment import comparing

        return comparing.diff(old, new)

    run_unwired(ctx, "env diff", work)


@app.command()
def convert(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file.")] = Path(".env"),
    to: Annotated[Literal["1.x", "2.0"], typer.Option("--to", help="The version to convert to.")] = "2.0",
    environment: Environment = None,
    system: System = None,
    features: Annotated[
        Literal["on", "off"] | None, typer.Option("--features", help="Switch what 2.0 brought off, or on again.")
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A value that is no secret.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here instead.")] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Carry a file from 1.x to 2.0, or back, with its comments and order; .env.backup is kept first.

    Example: chatctl env convert .env --environment production
    """

    def work() -> Result:
        from chatctl.services.environment import converting

        if not dry_run and invocation_of(ctx).settings.protected:
            consent(ctx, f"Convert {file}?")
        wanted = converting.Conversion(to, environment, system, features, _pairs(given or []), out, dry_run)
        return converting.convert(file, wanted)

    run_unwired(ctx, "env convert", work)


@app.command()
def secret(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="[NAME]", help="The variable.")] = "JWT_SECRET_KEY",
    size: Annotated[int, typer.Option("--bytes", min=32, max=1024, help="How much randomness.")] = 32,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Put it into this file and don't show it.")
    ] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Make a secret, to be shown once or written into a file.

    Example: chatctl env secret JWT_SECRET_KEY --write .env
    """

    def work() -> Result:
        from chatctl.services.environment import secrets

        if write is not None and not dry_run and invocation_of(ctx).settings.protected:
            consent(ctx, f"Put a new {key} into {write}?")
        return secrets.make(key, size, write, dry_run=dry_run)

    run_unwired(ctx, "env secret", work)


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = dict(item.partition("=")[::2] for item in given)
    if not all(pairs) or not all("=" in item for item in given):
        raise UsageError("--set takes NAME=VALUE.")
    return pairs
