"""`chatctl purge`: deletes what retention lets go, archived first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chatctl.cli import purge_hold
from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun, Out, PlanFile
from chatctl.cli.pages import Html, page_of, with_page
from chatctl.cli.runtime import invocation_of, progress, run, run_unwired, show, stop
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.services.purge.limits import Limits
    from chatctl.services.purge.planning import PurgePlan
    from chatctl.services.purge.target import PurgeRequest
    from chatctl.wiring import Wiring

app = group(
    "Delete what retention lets go, archived first.\n\nExample: chatctl purge --max-runtime 2h", runs_alone=True
)
app.add_typer(purge_hold.app, name="hold")

Account = Annotated[str | None, typer.Option("--account", metavar="ID", help="Only this account.")]
User = Annotated[str | None, typer.Option("--user", metavar="ID", help="Only this user.")]
OlderThan = Annotated[
    str | None,
    typer.Option("--older-than", metavar="DURATION", help="In the place of the default retention: 30d, 12h."),
]
Archive = Annotated[
    str | None, typer.Option("--archive", metavar="file|table|none", help="Where conversations are archived first.")
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="At most N conversations.")]
MaxRuntime = Annotated[
    str | None, typer.Option("--max-runtime", metavar="DURATION", help="Stop after this time, exit 12; it can go on.")
]
WindowOption = Annotated[
    str | None, typer.Option("--window", metavar="HH:MM-HH:MM", help="Work only at this time of day, UTC.")
]
EraseUser = Annotated[
    str | None,
    typer.Option("--erase-user", metavar="ID", help="Everything of this user, live and archived; needs --confirm."),
]
StopFile = Annotated[Path | None, typer.Option("--stop-file", metavar="FILE", help="Wait while this file is there.")]
Workers = Annotated[int, typer.Option("--workers", metavar="N", min=1, max=64, help="How many work at once.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", metavar="N", min=1, help="Conversations a batch.")]


@app.callback()
def purge(
    ctx: typer.Context,
    account: Account = None,
    user: User = None,
    older_than: OlderThan = None,
    archive: Archive = None,
    limit: Limit = None,
    max_runtime: MaxRuntime = None,
    window: WindowOption = None,
    workers: Workers = 1,
    erase_user: EraseUser = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Run the whole policy, as cron does. With a command: just that.

    A retention policy in the configuration is the consent; without one, or against a guard, it takes --confirm.

    Example: chatctl purge --max-runtime 2h
    """
    if ctx.invoked_subcommand is None and erase_user is not None:
        _erase(ctx, "purge", erase_user, dry_run=dry_run)
    elif ctx.invoked_subcommand is None:
        asked = _Asked(account, user, older_than, archive, limit)
        _run(ctx, "purge", asked, _Bounds(max_runtime, window, workers=workers), dry_run=dry_run)


@app.command()
def plan(
    ctx: typer.Context,
    account: Account = None,
    user: User = None,
    older_than: OlderThan = None,
    archive: Archive = None,
    limit: Limit = None,
    out: Out = None,
) -> None:
    """Show what would go, what is kept and why, and the space it takes and gives back. Writes nothing.

    Example: chatctl purge plan --out plan.json
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import planning

        request = _Asked(account, user, older_than, archive, limit).read()
        return planning.plan(wiring.purge(read_only=True), request, out)

    run(ctx, "purge plan", work)


@app.command("run")
def run_(
    ctx: typer.Context,
    account: Account = None,
    user: User = None,
    older_than: OlderThan = None,
    archive: Archive = None,
    limit: Limit = None,
    max_runtime: MaxRuntime = None,
    window: WindowOption = None,
    batch_size: BatchSize = None,
    workers: Workers = 1,
    stop_file: StopFile = None,
    plan: PlanFile = None,
    erase_user: EraseUser = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Delete in batches; after a kill or a limit the same command goes on.

    Example: chatctl purge run --account acme --older-than 90d
    """
    if erase_user is not None:
        _erase(ctx, "purge run", erase_user, dry_run=dry_run)
        return
    asked = _Asked(account, user, older_than, archive, limit, plan)
    _run(ctx, "purge run", asked, _Bounds(max_runtime, window, batch_size, stop_file, workers), dry_run=dry_run)


@app.command()
def status(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="The most runs to show.")] = 10,
) -> None:
    """Show the last runs and what is waiting. Exit 9 where the backlog grew over three runs.

    Example: chatctl purge status --output json
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import status as service

        return service.status(wiring.purge(read_only=True), limit)

    run(ctx, "purge status", work)


@app.command()
def stats(
    ctx: typer.Context,
    account: Account = None,
    estimate: Annotated[
        int | None, typer.Option("--estimate", metavar="N", min=0, help="Estimate N conversations a day, without data.")
    ] = None,
    html: Html = None,
) -> None:
    """Show how much is kept, how old it is, how fast it grows, and what it costs. As a page with --html.

    Example: chatctl purge stats --estimate 1000
    """

    def estimated() -> Result:
        from chatctl.services.purge import stats as service

        policy = invocation_of(ctx).settings.purge
        return service.estimate(estimate or 0, policy.retention_days, policy.price_per_gb_month)

    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import stats as service

        return service.stats(wiring.purge(read_only=True), wiring.settings.purge.price_per_gb_month, account)

    if estimate is not None:
        run_unwired(ctx, "purge stats", lambda: page_of(ctx, html, "purge", estimated()))
    else:
        run(ctx, "purge stats", with_page(ctx, html, "purge", work))


@app.command()
def restore(
    ctx: typer.Context,
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="What this run purged; the last one if nothing is said.")
    ] = None,
    chat: Annotated[str | None, typer.Option("--chat", metavar="ID", help="Only this conversation.")] = None,
    account: Account = None,
    user: User = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Bring archived conversations back, exactly as they were. What is there is never overwritten.

    Example: chatctl purge restore --chat session_1763645000000_x7f3
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import restoring

        request = restoring.RestoreRequest.of(run_id, chat, account, user)
        if not dry_run and wiring.settings.protected:
            consent(ctx, "Restore archived conversations?")
        target = wiring.purge(read_only=dry_run)
        return restoring.restore(target, request, progress(ctx), stop(ctx), dry_run=dry_run)

    run(ctx, "purge restore", work)


@app.command()
def schedule(
    ctx: typer.Context,
    kind: Annotated[str, typer.Option("--print", metavar="cron|systemd", help="What to print.")] = "cron",
    at: Annotated[str, typer.Option("--at", metavar="HH:MM", help="The time of day, UTC.")] = "02:00",
) -> None:
    """Print a crontab line or systemd units that run the policy every day.

    Example: chatctl purge schedule --print systemd --at 02:00
    """

    def work() -> Result:
        from chatctl.services.purge import scheduling

        invocation = invocation_of(ctx)
        return scheduling.schedule(invocation.settings, kind, at, Path.cwd(), invocation.config)

    run_unwired(ctx, "purge schedule", work)


@dataclass(frozen=True)
class _Asked:
    """What a purge was told to take, in its own words or by a saved plan."""

    account: str | None
    user: str | None
    older_than: str | None
    archive: str | None
    limit: int | None
    plan: Path | None = None

    def read(self) -> PurgeRequest:
        """The request; raises UsageError."""
        from chatctl.domain.durations import parse_duration
        from chatctl.services.purge.target import PurgeRequest

        older_than = parse_duration(self.older_than) if self.older_than else None
        archive: Any = self.archive
        return PurgeRequest(self.account, self.user, older_than, archive, self.limit)

    def with_plan(self) -> tuple[PurgeRequest, dict[str, Any] | None]:
        """The request, and the saved plan if there is one."""
        from chatctl.services.planfile import load_plan
        from chatctl.services.purge.target import PurgeRequest

        if self.plan is None:
            return self.read(), None
        if any(given is not None for given in (self.account, self.user, self.older_than, self.archive, self.limit)):
            raise UsageError("--plan says what to purge already: leave the other options out.")
        saved = load_plan(self.plan, "purge run")
        return PurgeRequest.of_plan(saved["request"]), saved


@dataclass(frozen=True)
class _Bounds:
    """How long, at what time of day, and in what steps a purge may work."""

    max_runtime: str | None
    window: str | None
    batch_size: int | None = None
    stop_file: Path | None = None
    workers: int = 1

    def limits(self) -> Limits:
        """The limits; raises UsageError."""
        from chatctl.domain.durations import parse_duration
        from chatctl.domain.windows import Window
        from chatctl.services.purge.limits import limits_of

        runtime = parse_duration(self.max_runtime) if self.max_runtime else None
        return limits_of(runtime, Window.parse(self.window) if self.window else None, self.stop_file)


def _run(ctx: typer.Context, command: str, asked: _Asked, bounds: _Bounds, *, dry_run: bool) -> None:
    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import planning, running

        request, saved = asked.with_plan()
        if dry_run:
            planned = planning.plan(wiring.purge(read_only=True), request)
            return Result({**planned.data, "dry_run": True}, warnings=planned.warnings)
        shown = progress(ctx)
        if command == "purge":
            shown.note("[Cron] Starting scheduled purge job")
        attendance = running.Attendance(
            shown,
            stop(ctx),
            _agreement(ctx, wiring, request),
            wiring.purge_reporter(),
            bounds.limits(),
            bounds.batch_size,
            bounds.workers,
        )
        return running.run(wiring.purge(), request, attendance, saved)

    run(ctx, command, work)


def _erase(ctx: typer.Context, command: str, user: str, *, dry_run: bool) -> None:
    def work(wiring: Wiring) -> Result:
        from chatctl.services.purge import erasing

        def agree(conversations: int) -> None:
            consent(ctx, f"Erase the user and {conversations:,} conversations, archives included?", loses_data=True)

        attendance = erasing.Attendance(progress(ctx), stop(ctx), agree)
        return erasing.erase(wiring.purge(read_only=dry_run), user, attendance, dry_run=dry_run)

    run(ctx, command, work)


def _agreement(ctx: typer.Context, wiring: Wiring, request: PurgeRequest) -> Callable[[PurgePlan], None]:
    """Asks for consent, unless the configured policy is the consent and nothing about the plan is unusual."""
    from chatctl.services.purge import planning

    settings = wiring.settings
    policy = settings.purge
    by_policy = settings.purge_configured and (policy.unattended or not settings.protected)
    goes_beyond = request.goes_beyond(policy.retention_days, policy.archive)

    def agree(planned: PurgePlan) -> None:
        if planned.data["eligible"] == 0 or (by_policy and not goes_beyond and not planned.guards):
            return
        if ctx.params.get("confirm") is None:
            show(ctx, "purge plan", planning.plan(wiring.purge(read_only=True), request))
        reasons = " ".join((*planned.guards, f"Delete {planned.data['eligible']:,} conversations?"))
        consent(ctx, reasons, loses_data=True)

    return agree
