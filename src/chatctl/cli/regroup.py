"""`chatctl regroup`: turns flat messages into chats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import BackupFirst, Confirm, DryRun, Out, PlanFile
from chatctl.cli.runtime import progress, run, stop
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.services.regroup.driving import Crew
    from chatctl.wiring import Wiring

app = group("Turn flat messages into chats: plan, run, verify, undo.")

By = Annotated[str | None, typer.Option("--by", metavar="KEYS", help="The columns to group by.")]
Gap = Annotated[str | None, typer.Option("--gap", metavar="30m|none", help="A longer pause starts a new chat.")]
NullMentor = Annotated[
    str, typer.Option("--null-mentor", metavar="standalone|general", help="What becomes of messages without a mentor.")
]
TitleOption = Annotated[
    str, typer.Option("--title", metavar="mentor|first-message|none", help="What chats are called.")
]
User = Annotated[str | None, typer.Option("--user", metavar="ID", help="Only this user's messages.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Only messages from then on (UTC).")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only messages before then (UTC).")]
RunArgument = Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run; the last one if left out.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", min=1, help="Rows a batch; by default it adapts.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, help="How many work at once.")]


@app.command()
def plan(
    ctx: typer.Context,
    by: By = None,
    gap: Gap = None,
    null_mentor: NullMentor = "standalone",
    title: TitleOption = "mentor",
    user: User = None,
    since: Since = None,
    until: Until = None,
    out: Out = None,
    detailed_exit: Annotated[
        bool, typer.Option("--detailed-exit", help="Exit 7 where there is something to do.")
    ] = False,
) -> None:
    """Count what a run would move and make. Writes nothing.

    Example: chatctl regroup plan --gap 6h --out plan.json
    """
    options = _options(by, gap, null_mentor, title, user, since, until)

    def work(wiring: Wiring) -> Result:
        from chatctl.services.regroup import reporting
        from chatctl.services.regroup.target import Request

        target = wiring.regroup(read_only=True)
        return reporting.plan(target, target.grouping(Request(**options)), out, detailed_exit=detailed_exit)

    run(ctx, "regroup plan", work)


@app.command(name="run")
def run_command(
    ctx: typer.Context,
    by: By = None,
    gap: Gap = None,
    null_mentor: NullMentor = "standalone",
    title: TitleOption = "mentor",
    user: User = None,
    since: Since = None,
    until: Until = None,
    batch_size: BatchSize = None,
    workers: Workers = 1,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN", help="Work on that run too.")] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", metavar="FILE", help="Whose messages are which: CSV or JSON lines.")
    ] = None,
    retry_failed: Annotated[
        str | None, typer.Option("--retry-failed", metavar="RUN", help="Try what that run has set aside again.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on moving what arrives, until it is stopped.")] = False,
    max_runtime: Annotated[
        str | None, typer.Option("--max-runtime", metavar="30m", help="Stop after that time; exit 12.")
    ] = None,
    window: Annotated[
        str | None, typer.Option("--window", metavar="22:00-06:00", help="Work only then (local time); exit 12.")
    ] = None,
    stop_file: Annotated[
        Path | None, typer.Option("--stop-file", metavar="FILE", help="Wait while this file is there.")
    ] = None,
    plan: PlanFile = None,
    backup: BackupFirst = False,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Move messages into chats, or go on with an unfinished run. Existing chats are never changed.

    Example: chatctl regroup run --gap 6h --workers 2
    """
    options = _options(by, gap, null_mentor, title, user, since, until)

    def work(wiring: Wiring) -> Result:
        from chatctl.services.regroup import driving, reporting, running

        limits = driving.limits(max_runtime, window, stop_file)
        crew = replace(_crew(ctx, batch_size, workers), limits=limits, follow=follow)
        if retry_failed is not None:
            return running.retry(wiring.regroup(), retry_failed, crew)
        if resume is not None:
            return running.join(wiring.regroup(), resume, crew)
        grouping, saved = _chosen(wiring, {**options, "mapping": mapping}, plan)
        if dry_run:
            return Result({**reporting.plan(wiring.regroup(read_only=True), grouping).data, "dry_run": True})
        if wiring.settings.protected:
            consent(ctx, f"Regroup the messages of the context '{wiring.settings.context_name}'?")
        take_backup = wiring.backup_first(crew.progress) if backup else None
        return running.start(wiring.regroup(), grouping, crew, saved, take_backup, mapping)

    run(ctx, "regroup run", work)


@app.command()
def status(ctx: typer.Context) -> None:
    """Show the runs, which is unfinished, and which can still be undone.

    Example: chatctl regroup status
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.regroup import reporting

        return reporting.status(wiring.regroup(read_only=True))

    run(ctx, "regroup status", work)


@app.command()
def verify(ctx: typer.Context, run_id: RunArgument = None) -> None:
    """Prove that a run lost, changed and left behind nothing; exit 9 with examples if not.

    Example: chatctl regroup verify
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.regroup.verifying import verify as service

        return service(wiring.regroup(read_only=True), run_id)

    run(ctx, "regroup verify", work)


@app.command()
def undo(
    ctx: typer.Context,
    run_id: RunArgument = None,
    batch_size: BatchSize = None,
    workers: Workers = 1,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Take a run's chats and references back. Chats that the application has written to since stay.

    Example: chatctl regroup undo --confirm default
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.regroup import undoing

        planned = undoing.undo_plan(wiring.regroup(read_only=True), run_id)
        if dry_run:
            return planned
        consent(ctx, f"Delete {planned.data['chats_deleted']:,} chats of run {planned.run_id}?", loses_data=True)
        return undoing.undo(wiring.regroup(), run_id, _crew(ctx, batch_size, workers))

    run(ctx, "regroup undo", work)


@app.command()
def seal(ctx: typer.Context, run_id: RunArgument = None, dry_run: DryRun = False, confirm: Confirm = None) -> None:
    """Make a run final: free what undoing it would need.

    Example: chatctl regroup seal --yes
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.regroup.undoing import seal as service

        if not dry_run:
            consent(ctx, "Give up undoing the run?")
        return service(wiring.regroup(read_only=dry_run), run_id, dry_run=dry_run)

    run(ctx, "regroup seal", work)


def _options(*values: str | None) -> dict[str, Any]:
    return dict(zip(("by", "gap", "null_keys", "title", "user", "since", "until"), values, strict=True))


def _crew(ctx: typer.Context, batch_size: int | None, workers: int) -> Crew:
    from chatctl.services.regroup.driving import Crew

    return Crew(progress(ctx), stop(ctx), batch_size, workers)


def _chosen(wiring: Wiring, options: dict[str, Any], plan: Path | None) -> tuple[Any, dict[str, Any] | None]:
    """The grouping that was asked for, in words or by a saved plan, and that plan."""
    from chatctl.domain.grouping import Grouping
    from chatctl.services.planfile import load_plan
    from chatctl.services.regroup.target import Request

    if plan is None:
        return wiring.regroup(read_only=True).grouping(Request(**options)), None
    if Request(**options) != Request():
        raise UsageError("--plan says how to group already: leave the other options out.")
    saved = load_plan(plan, "regroup run")
    return Grouping.from_json(saved["options"]), saved
