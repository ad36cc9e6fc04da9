"""`chatctl record`: the migration's own record: lead, dates, completion list, status."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import invocation_of, run
from chatctl.cli.surroundings import surroundings
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

app = group("Keep the migration's own record: lead, dates, completion list, status.")

_MARKDOWN = "markdown"

Review = Annotated[
    datetime | None, typer.Option("--review", formats=["%Y-%m-%d"], metavar="DATE", help="When it is looked back on.")
]
Output = Annotated[
    str | None, typer.Option("--output", "-o", metavar="table|json|yaml|csv|markdown", help="How it is written.")
]


@app.command()
def start(
    ctx: typer.Context,
    lead: Annotated[str, typer.Option("--lead", metavar="NAME", help="Who leads the migration.")],
    contacts: Annotated[
        list[str] | None, typer.Option("--contact", metavar="ROLE=NAME", help="Whom to call; may be repeated.")
    ] = None,
    estimate: Annotated[
        str | None, typer.Option("--estimated-downtime", metavar="DURATION", help="What was announced: 3h.")
    ] = None,
    review: Review = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Begin the record, with the completion list of the system's own guide.

    Example: chatctl record start --lead "Ada Lovelace" --contact dba=grace@example.org --estimated-downtime 3h
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.record import keeping

        _agree(ctx, wiring, "Begin a record?", dry_run)
        wanted = keeping.Beginning(lead, _pairs(contacts or []), _duration(estimate), _day(review))
        target = wiring.migration(read_only=dry_run)
        return keeping.start(target, wiring.settings.context_name, wanted, dry_run=dry_run)

    run(ctx, "record start", work)


@app.command()
def show(
    ctx: typer.Context,
    record: Annotated[str | None, typer.Argument(metavar="[RECORD]", help="The newest if left out.")] = None,
    output: Output = None,
) -> None:
    """Show the record; as markdown to be kept elsewhere.

    Example: chatctl record show --output markdown
    """
    if output is not None and output != _MARKDOWN:
        _remember_output(ctx, output)

    def work(wiring: Wiring) -> Result:
        from chatctl.services.record import keeping

        return keeping.show(wiring.migration(read_only=True), record)

    from chatctl.render.markdown import write_markdown

    run(ctx, "record show", work, writer=write_markdown if output == _MARKDOWN else None)


@app.command()
def check(
    ctx: typer.Context,
    base_url: Annotated[str | None, typer.Option("--base-url", metavar="URL", help="Where the system answers.")] = None,
    code: Annotated[Path | None, typer.Option("--code", metavar="DIR", help="The application's source code.")] = None,
    env_file: Annotated[Path, typer.Option("--env-file", metavar="FILE", help="The application's.")] = Path(".env"),
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Check every item that a command can check, and note what proved it. Exit 9 while one is open.

    Example: chatctl record check --base-url https://app.example.org --code apps
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.record import proving

        _agree(ctx, wiring, "Note what is found in the record?", dry_run)
        target, around = wiring.migration(read_only=dry_run), surroundings(wiring, None, env_file)
        return proving.check(target, around, proving.Places(base_url, code, env_file), dry_run=dry_run)

    run(ctx, "record check", work)


@app.command()
def sign(
    ctx: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item, as 'record show' names it.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so.")],
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="How it was seen.")] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the signature back.")] = False,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Sign an item that no command can check.

    Example: chatctl record sign training --by "Ada Lovelace"
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.record import keeping

        _agree(ctx, wiring, f"Sign '{item}'?", dry_run)
        target = wiring.migration(read_only=dry_run)
        return keeping.sign(target, item, by, note, withdraw=withdraw, dry_run=dry_run)

    run(ctx, "record sign", work)


@app.command()
def finish(
    ctx: typer.Context,
    status: Annotated[
        Literal["completed", "rolled-back"], typer.Option("--status", help="How it came out.")
    ] = "completed",
    downtime: Annotated[
        str | None, typer.Option("--downtime", metavar="DURATION", help="What it really was: 95m.")
    ] = None,
    review: Review = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """End the record. Exit 9, and nothing is written, while an item of a completed migration is open.

    Example: chatctl record finish --downtime 95m --review 2026-12-01
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.record import keeping

        _agree(ctx, wiring, "End the record?", dry_run)
        ended: keeping.Status = "completed" if status == "completed" else "rolled back"
        target = wiring.migration(read_only=dry_run)
        return keeping.finish(target, ended, _duration(downtime), _day(review), dry_run=dry_run)

    run(ctx, "record finish", work)


def _agree(ctx: typer.Context, wiring: Wiring, question: str, dry_run: bool = False) -> None:
    if wiring.settings.protected and not dry_run:
        consent(ctx, question)


def _pairs(given: list[str]) -> dict[str, str]:
    if not all("=" in item for item in given):
        raise UsageError("--contact takes ROLE=NAME.")
    return dict(item.partition("=")[::2] for item in given)


def _duration(text: str | None) -> timedelta | None:
    from chatctl.domain.durations import parse_duration

    return parse_duration(text) if text else None


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _remember_output(ctx: typer.Context, output: str) -> None:
    try:
        invocation_of(ctx).remember("output", output)
    except ValueError as problem:
        raise UsageError(str(problem), hint="The record can be markdown, too.") from None
