"""`chatctl init`: the first chatctl.yaml."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chatctl.cli.groups import command
from chatctl.cli.options import DryRun
from chatctl.cli.runtime import invocation_of, run_unwired
from chatctl.domain.result import Result

app = command()


@app.command()
def init(
    ctx: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Look at the database, name its layout and state, and write chatctl.yaml.

    Example: chatctl init --database mariadb://root@localhost/app
    """

    def work() -> Result:
        from chatctl.services.new_configuration import create
        from chatctl.services.survey import survey
        from chatctl.settings import initial_settings, project_file
        from chatctl.wiring import Wiring

        flags, folder = invocation_of(ctx).flags, Path.cwd()
        settings = initial_settings(flags, os.environ, folder)
        target = project_file(flags, os.environ, folder)
        with closing(Wiring(settings)) as wiring:
            look = partial(survey, wiring.database(read_only=True))
            return create(settings, target, look, force=force, dry_run=dry_run)

    run_unwired(ctx, "init", work)
