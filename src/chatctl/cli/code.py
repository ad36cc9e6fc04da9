"""`chatctl code`: finds the old forms in an application's source code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import run_unwired
from chatctl.domain.result import Result

app = group("Find and rewrite old forms in source code.")


@app.command()
def scan(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="A folder or a file.")] = Path(),
    fix: Annotated[bool, typer.Option("--fix", help="Rewrite what is certain, and show the difference.")] = False,
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", metavar="FILE", help="More rules, as ast-grep takes them.")
    ] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Find the imports, endpoints, events and sockets of 1.x. Exit 9 where there are some.

    Example: chatctl code scan apps --fix
    """

    def work() -> Result:
        from chatctl.services.code import scanning

        return scanning.scan(path, tuple(rules or ()), fix=fix, dry_run=dry_run)

    run_unwired(ctx, "code scan", work)
