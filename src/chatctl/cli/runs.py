"""`chatctl runs`: looks at what chatctl does and did, and holds it up or ends it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.pages import Html, write_page
from chatctl.cli.runtime import invocation_of, run, stop
from chatctl.domain.result import Result

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

app = group("Look at runs, hold them up, end them.")

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run, as 'runs list' names it.")]


@app.command(name="list")
def list_runs(
    ctx: typer.Context, limit: Annotated[int, typer.Option(min=1, help="The most runs to show.")] = 50
) -> None:
    """Show the runs, newest first.

    Example: chatctl runs list --limit 5
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.runs.inspecting import listing

        return listing(wiring.runs(read_only=True), limit)

    run(ctx, "runs list", work)


@app.command()
def show(
    ctx: typer.Context,
    run_id: RunId,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it anew every second until it ends, or Ctrl-C.")] = False,
) -> None:
    """Show one run and how far each of its phases is.

    Example: chatctl runs show 20260131-120000-9f3a --watch
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.runs.inspecting import show as service

        target = wiring.runs(read_only=True)
        if not watch:
            return service(target, run_id)
        from chatctl.render.live import watched

        return watched("runs show", lambda: service(target, run_id), invocation_of(ctx).terminal, stop(ctx))

    run(ctx, "runs show", work)


@app.command()
def pause(ctx: typer.Context, run_id: RunId, dry_run: DryRun = False, confirm: Confirm = None) -> None:
    """Hold a run up after the batch in hand, wherever it is at work.

    Example: chatctl runs pause 20260131-120000-9f3a
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.runs import steering

        _agree(ctx, f"Pause run {run_id}?", dry_run)
        return steering.pause(wiring.runs(read_only=dry_run), run_id, dry_run=dry_run)

    run(ctx, "runs pause", work)


@app.command()
def resume(ctx: typer.Context, run_id: RunId, dry_run: DryRun = False, confirm: Confirm = None) -> None:
    """Let a paused run go on.

    Example: chatctl runs resume 20260131-120000-9f3a
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.runs import steering

        _agree(ctx, f"Resume run {run_id}?", dry_run)
        return steering.resume(wiring.runs(read_only=dry_run), run_id, dry_run=dry_run)

    run(ctx, "runs resume", work)


@app.command()
def cancel(ctx: typer.Context, run_id: RunId, dry_run: DryRun = False, confirm: Confirm = None) -> None:
    """End a run for good after the batch in hand; what it did stays.

    Example: chatctl runs cancel 20260131-120000-9f3a
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.runs import steering

        _agree(ctx, f"Cancel run {run_id}?", dry_run)
        return steering.cancel(wiring.runs(read_only=dry_run), run_id, dry_run=dry_run)

    run(ctx, "runs cancel", work)


@app.command()
def report(ctx: typer.Context, run_id: RunId, html: Html = None) -> None:
    """Show what a run did: by phase, by batch, over time. As a page with --html.

    Example: chatctl runs report 20260131-120000-9f3a --html run.html
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.runs.reporting import report as service

        target = wiring.runs(read_only=True)
        result = service(target, run_id)
        if html is not None:
            from chatctl.render.pages.run import run_page
            from chatctl.services.runs import proving
            from chatctl.services.runs.history import history

            regrouping, migrating = partial(wiring.regroup, read_only=True), partial(wiring.migration, read_only=True)
            checks = proving.verification(target.get(run_id), regrouping, migrating)
            sizes = proving.sizes(target, run_id, wiring.layout)
            write_page(ctx, html, run_page(result.data, history(target, run_id), sizes, checks))
        return result

    run(ctx, "runs report", work)


@app.command()
def prune(
    ctx: typer.Context,
    keep: Annotated[
        str, typer.Option("--keep", metavar="DURATION", help="Runs that ended since then keep all.")
    ] = "90d",
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Take the batches of old runs out of the journal; the runs themselves and what undoing needs stay.

    Example: chatctl runs prune --keep 30d
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.durations import parse_duration
        from chatctl.services.runs.pruning import prune as service

        kept = parse_duration(keep)
        _agree(ctx, f"Delete the batches of runs older than {keep}?", dry_run)
        return service(wiring.runs(read_only=dry_run), kept, dry_run=dry_run)

    run(ctx, "runs prune", work)


@app.command()
def unlock(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="LOCK", help="The lock, as the error names it: schema, regroup.")],
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Free a lock whose holder is gone; refuses while the holder lives.

    Example: chatctl runs unlock regroup
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.runs import steering

        _agree(ctx, f"Free the lock '{name}'?", dry_run)
        return steering.unlock(wiring.runs(read_only=dry_run), name, dry_run=dry_run)

    run(ctx, "runs unlock", work)


def _agree(ctx: typer.Context, question: str, dry_run: bool) -> None:
    if invocation_of(ctx).settings.protected and not dry_run:
        consent(ctx, question)
