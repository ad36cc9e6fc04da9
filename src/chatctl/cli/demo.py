"""`chatctl demo`: a made-up legacy database, and the whole journey on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import invocation_of, progress, run, run_unwired
from chatctl.domain.result import Result
from chatctl.errors import UsageError
from chatctl.render.messages import tell_step

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

app = group("A made-up legacy database of any size, and the whole journey on it.")

Messages = Annotated[int, typer.Option(min=1, help="How many messages to make.")]


@app.command()
def create(
    ctx: typer.Context,
    messages: Messages = 50_000,
    users: Annotated[int, typer.Option(min=1, help="How many users write them.")] = 1_000,
    mentors: Annotated[int, typer.Option(min=1, help="How many mentors answer.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed makes the same messages.")] = 1,
    late_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write messages to import later into this file.")
    ] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Fill an empty database with a legacy chat system, layout mentor.

    Example: chatctl demo create --messages 50000 --database sqlite:///legacy.db --layout mentor
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.demo import creating
        from chatctl.services.demo.messages import Cast

        if wiring.settings.protected and not dry_run:
            consent(ctx, "Fill this database with a made-up system?")
        cast, target = Cast(messages, users, mentors, seed), wiring.migration(read_only=dry_run)
        return creating.create(target, cast, progress(ctx), late_file, dry_run=dry_run)

    run(ctx, "demo create", work)


@app.command(name="lose-counter")
def lose_counter(ctx: typer.Context, dry_run: DryRun = False, confirm: Confirm = None) -> None:
    """Delete this month's session counter from the embedded Redis, as one that evicts would.

    Example: chatctl demo lose-counter --layout simorgh --confirm default
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.demo.losing import lose_counter as service

        if wiring.settings.redis.url.reveal() != "embedded":
            raise UsageError("Only the embedded Redis may lose a counter on purpose.")
        if not dry_run:
            consent(ctx, "Delete this month's session counter?", loses_data=True)
        return service(wiring.redis, dry_run=dry_run)

    run(ctx, "demo lose-counter", work)


@app.command(name="run")
def run_demo(
    ctx: typer.Context,
    messages: Messages = 50_000,
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the demo's files go.")] = Path("demo"),
) -> None:
    """Run the whole journey on a made-up SQLite database, showing each command and what came of it.

    Example: chatctl demo run --messages 5000
    """

    def work() -> Result:
        from chatctl.services.demo.journey import Stage, run_journey

        terminal = invocation_of(ctx).terminal
        stage = Stage(folder, lambda why, command: tell_step(why, command, terminal), sys.stderr)
        return run_journey(stage, messages)

    run_unwired(ctx, "demo run", work)
