"""`chatctl migrate`: carries a database's schema from its legacy shape to the new one, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.migrate_drafts import rehearse, revision
from chatctl.cli.migrate_lint import lint
from chatctl.cli.options import BackupFirst, Confirm, DryRun, Out, PlanFile
from chatctl.cli.runtime import invocation_of, progress, run, show, stop
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.services.migrate.planning import Options
    from chatctl.services.migrate.recording import Scratching
    from chatctl.wiring import Wiring

app = group(
    "Carry the schema from its legacy shape to the new one, and back.\n\nExample: chatctl migrate", runs_alone=True
)
app.command()(lint)
app.command()(rehearse)
app.command()(revision)

Target = Annotated[str | None, typer.Argument(metavar="[REVISION]", help="How far; the end of the phase if left out.")]
PhaseOption = Annotated[
    str, typer.Option("--phase", metavar="expand|contract", help="Contract is applied only when it is named.")
]
AllowCopy = Annotated[bool, typer.Option("--allow-copy", help="Let the server copy a table under a lock.")]
LockTimeout = Annotated[
    float, typer.Option("--lock-timeout", metavar="SECONDS", min=0.1, help="How long a change may hold others up.")
]
GiveUpAfter = Annotated[
    float, typer.Option("--give-up-after", metavar="SECONDS", min=1, help="How long a revision's locks are tried for.")
]
StatementTimeout = Annotated[
    float, typer.Option("--statement-timeout", metavar="SECONDS", min=0, help="The longest statement; 0 for no limit.")
]
DetailedExit = Annotated[bool, typer.Option("--detailed-exit", help="Exit 7 where there is something to do.")]


@app.callback()
def migrate(ctx: typer.Context, backup: BackupFirst = False, dry_run: DryRun = False, confirm: Confirm = None) -> None:
    """Plan, ask, apply the expand phase. With a command: just that.

    Example: chatctl migrate --database mariadb://root@localhost/app --layout mentor
    """
    if ctx.invoked_subcommand is None:
        _apply(ctx, "migrate", _Request("up", backup=backup), _Limits(), dry_run=dry_run, asks=True)


@app.command()
def status(ctx: typer.Context) -> None:
    """Show where the database stands and what is pending.

    Example: chatctl migrate status --output json
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate import reporting

        return reporting.status(wiring.migration(read_only=True))

    run(ctx, "migrate status", work)


@app.command()
def plan(
    ctx: typer.Context,
    revision: Target = None,
    phase: PhaseOption = "expand",
    down: Annotated[bool, typer.Option("--down", help="Plan the way back to REVISION.")] = False,
    out: Out = None,
    detailed_exit: DetailedExit = False,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Make no scratch schema to measure in.")] = False,
) -> None:
    """Show every statement that applying would send, and what it locks. Writes nothing but a scratch schema.

    Example: chatctl migrate plan --out plan.json
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate import reporting

        options, _ = _Request("down" if down else "up", revision, phase).read()
        target = wiring.migration(read_only=True)
        scratching: Scratching = "never" if no_measure else "to measure"
        return reporting.plan(target, options, out, detailed_exit=detailed_exit, scratching=scratching, linted=True)

    run(ctx, "migrate plan", work)


@app.command()
def up(
    ctx: typer.Context,
    revision: Target = None,
    phase: PhaseOption = "expand",
    plan: PlanFile = None,
    allow_copy: AllowCopy = False,
    lock_timeout: LockTimeout = 0.8,
    give_up_after: GiveUpAfter = 600,
    statement_timeout: StatementTimeout = 0,
    backup: BackupFirst = False,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Apply revisions, letting others pass while a lock can't be had. What drops data needs --confirm.

    Example: chatctl migrate up --plan plan.json
    """
    limits = _Limits(lock_timeout, statement_timeout, give_up_after, allow_copy)
    _apply(ctx, "migrate up", _Request("up", revision, phase, plan, backup), limits, dry_run=dry_run)


@app.command()
def down(
    ctx: typer.Context,
    revision: Annotated[
        str | None, typer.Argument(metavar="REVISION", help="Where to go back to; 'base' is none.")
    ] = None,
    plan: PlanFile = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Take revisions back, down to REVISION, which stays. Shows the rows that go; needs --confirm.

    Example: chatctl migrate down mentor_0001 --confirm default
    """
    if revision is None and plan is None:
        raise typer.BadParameter("name the revision to go back to, or a plan.", param_hint="REVISION")
    _apply(ctx, "migrate down", _Request("down", revision, plan=plan), _Limits(), dry_run=dry_run)


@app.command()
def check(ctx: typer.Context) -> None:
    """Exit 9 where the schema has drifted, else 7 while revisions are pending, else 0.

    Example: chatctl migrate check --output json
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate import reporting

        return reporting.check(wiring.migration(read_only=True))

    run(ctx, "migrate check", work)


@app.command()
def history(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="The most migrations to show.")] = 50,
) -> None:
    """Show who migrated what, when, and how long it took.

    Example: chatctl migrate history --limit 5
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate import reporting

        return reporting.history(wiring.migration(read_only=True), limit)

    run(ctx, "migrate history", work)


@app.command()
def adopt(ctx: typer.Context, dry_run: DryRun = False, confirm: Confirm = None) -> None:
    """Recognise a database that chatctl didn't make, and put it under its revisions.

    Example: chatctl migrate adopt --layout mentor
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate.adopting import adopt as service

        if not dry_run and invocation_of(ctx).settings.protected:
            consent(ctx, "Put this database under chatctl's revisions?")
        return service(wiring.migration(read_only=dry_run), dry_run=dry_run)

    run(ctx, "migrate adopt", work)


@app.command()
def sql(
    ctx: typer.Context,
    start: Annotated[str | None, typer.Option("--from", metavar="REVISION", help="The newest applied one.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="REVISION", help="Where to go.")] = None,
    down: Annotated[bool, typer.Option("--down", help="The way back from --to to --from.")] = False,
) -> None:
    """Print revisions as an SQL script, without looking at a database.

    Example: chatctl migrate sql --from mentor_0001 > expand.sql
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate import reporting

        return reporting.script(wiring.migration(read_only=True), start, end, "down" if down else "up")

    run(ctx, "migrate sql", work)


@dataclass(frozen=True)
class _Request:
    """How far a command was told to go, in its own words or by a saved plan, and whether after a backup."""

    direction: Literal["up", "down"]
    revision: str | None = None
    phase: str = "expand"
    plan: Path | None = None
    backup: bool = False

    def read(self) -> tuple[Options, dict[str, Any] | None]:
        """The options, and the saved plan if there is one."""
        from chatctl.services.migrate.planning import Options
        from chatctl.services.planfile import load_plan

        if self.phase not in ("expand", "contract"):
            raise UsageError(f"There is no phase '{self.phase}'.", hint="It is expand or contract.")
        if self.plan is None:
            return Options(self.direction, self.revision, "contract" if self.phase == "contract" else "expand"), None
        if self.revision is not None or self.phase != "expand":
            raise UsageError("--plan says how far already: leave REVISION and --phase out.")
        saved = load_plan(self.plan, f"migrate {self.direction}")
        return Options(**saved["options"]), saved


@dataclass(frozen=True)
class _Limits:
    """What an execution may ask of others: seconds, and whether a table may be copied."""

    lock_timeout: float = 0.8
    statement_timeout: float = 0
    give_up_after: float = 600
    allow_copy: bool = False


def _apply(
    ctx: typer.Context,
    command: str,
    request: _Request,
    limits: _Limits,
    *,
    dry_run: bool,
    asks: bool = False,
) -> None:
    """Shows the plan where somebody is to agree to it, and applies it."""

    def work(wiring: Wiring) -> Result:
        from chatctl.services.migrate import applying, reporting

        options, saved = request.read()
        # What only shows a plan makes nothing at all; what is about to apply it may make a copy to find out.
        scratching: Scratching = "never" if dry_run else "if needed"
        planned = reporting.plan(wiring.migration(read_only=True), options, scratching=scratching, linted=dry_run)
        if dry_run:
            return Result({**planned.data, "dry_run": True})
        # Rows may come in between the question and the answer, so going back is never a matter of course.
        loses_data = options.direction == "down" or any(loss["rows"] for loss in planned.data["losses"])
        if planned.data["steps"] and (asks or loses_data or wiring.settings.protected):
            show(ctx, "migrate plan", planned)
            consent(ctx, _question(wiring, planned), loses_data=loses_data)
        gentleness = applying.Gentleness(
            lock_timeout_ms=round(limits.lock_timeout * 1000),
            statement_timeout_ms=round(limits.statement_timeout * 1000),
            give_up_after_seconds=limits.give_up_after,
            allow_copy=limits.allow_copy,
        )
        take_backup = wiring.backup_first(progress(ctx)) if request.backup else None
        attendance = applying.Attendance(progress(ctx), stop(ctx), gentleness, take_backup, has_seen_plan=True)
        return applying.apply(wiring.migration(), options, attendance, saved)

    run(ctx, command, work)


def _question(wiring: Wiring, planned: Result) -> str:
    count, direction = len(planned.data["steps"]), planned.data["direction"]
    verb = "Apply" if direction == "up" else "Take back"
    revisions = f"{count} revision{'s' if count != 1 else ''}"
    return f"{verb} {revisions} in the context '{wiring.settings.context_name}'?"
