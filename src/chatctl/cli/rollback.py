"""`chatctl rollback`: back to where a run began."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun, Out, PlanFile
from chatctl.cli.runtime import progress, run, show, stop
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.services.rollback.steps import RollbackPlan
    from chatctl.wiring import Wiring

app = group("Go back to where a run began: data, then schema, then Redis, then environment.")

To = Annotated[str | None, typer.Option("--to", metavar="RUN", help="Where this run began; else the last migration.")]


@app.command()
def plan(ctx: typer.Context, to: To = None, out: Out = None) -> None:
    """Show each step back and what it loses of what was written since. Writes nothing.

    Example: chatctl rollback plan --out back.json
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.rollback.reporting import plan as service

        return service(wiring.rollback(read_only=True), to, out)

    run(ctx, "rollback plan", work)


@app.command(name="run")
def run_command(
    ctx: typer.Context, to: To = None, plan: PlanFile = None, dry_run: DryRun = False, confirm: Confirm = None
) -> None:
    """Go back, or go on with going back. Shows what is lost; needs --confirm.

    Example: chatctl rollback run --confirm default
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.rollback import running
        from chatctl.services.rollback.performing import Attendance
        from chatctl.services.rollback.reporting import plan as planned

        chosen, saved = _chosen(to, plan)
        if dry_run:
            return Result({**planned(wiring.rollback(read_only=True), chosen).data, "dry_run": True})

        def agree(shown: RollbackPlan) -> None:
            show(ctx, "rollback plan", Result(shown.as_json()))
            question = (
                f"Roll the context '{wiring.settings.context_name}' back to where run {shown.to['run_id']} began?"
            )
            consent(ctx, question, loses_data=True)

        return running.run(wiring.rollback(), chosen, Attendance(progress(ctx), stop(ctx), agree), saved)

    run(ctx, "rollback run", work)


def _chosen(to: str | None, plan: Path | None) -> tuple[str | None, dict[str, Any] | None]:
    """How far to go, in words or by a saved plan, and that plan."""
    from chatctl.services.planfile import load_plan

    if plan is None:
        return to, None
    if to is not None:
        raise UsageError("--plan says how far already: leave --to out.")
    saved = load_plan(plan, "rollback run")
    return saved["to"]["run_id"], saved
