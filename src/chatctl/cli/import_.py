"""`chatctl import`: rows of files into a table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import command
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import progress, run, stop
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.services.transfer.formats import Format
    from chatctl.wiring import Wiring

app = command()

FORMATS = "jsonl|bson|csv|tsv"


@app.command("import")
def import_(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="The files; - is standard input.")],
    entity: Annotated[str, typer.Option(metavar="NAME", help="What the rows are, in the layout's words.")] = "messages",
    format: Annotated[
        str | None, typer.Option("--format", metavar=FORMATS, help="The format, where the files' names don't tell it.")
    ] = None,
    renames: Annotated[
        list[str] | None, typer.Option("--map", metavar="THEIRS=OURS", help="Feed the field THEIRS into OURS.")
    ] = None,
    empty_is_null: Annotated[
        bool, typer.Option("--empty-is-null", help="An empty CSV cell is no value, in text columns too.")
    ] = False,
    rejects: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where rows go that don't fit, with the reason.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows a batch; by default as many as go well.")] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Import rows: JSON lines, CSV, TSV or BSON extended JSON, plain, gzip or zstd.

    The first row of an ID stays, repeated ones are counted. Rows that don't fit go to a reject file, exit 3, and the
    others are in. After a kill the same command goes on where it stopped.

    Example: chatctl import messages.jsonl.gz --entity messages
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.transfer.importing import ImportRequest, import_files
        from chatctl.services.transfer.trial import try_import

        request = ImportRequest(
            tuple(files), entity, format_named(format), _pairs(renames or []), empty_is_null, rejects, batch_size
        )
        if dry_run:
            target = wiring.transfer(read_only=True)
            return try_import(target, request, progress(ctx), stop(ctx), _stdin())
        if wiring.settings.protected:
            consent(ctx, f"Import into '{entity}'?")
        return import_files(wiring.transfer(), request, progress(ctx), stop(ctx), _stdin())

    run(ctx, "import", work)


def _stdin() -> BinaryIO:
    """Standard input without Python's buffer: its lock, held by a reader that waits, would abort the exit."""
    buffer = sys.stdin.buffer
    return cast(BinaryIO, getattr(buffer, "raw", buffer))


def format_named(name: str | None) -> Format | None:
    """The format called `name`; raises UsageError naming those there are."""
    from chatctl.services.transfer.formats import Format

    try:
        return Format(name) if name is not None else None
    except ValueError:
        known = ", ".join(format.value for format in Format)
        raise UsageError(f"There is no format '{name}'.", hint=f"There are: {known}.") from None


def _pairs(renames: list[str]) -> dict[str, str]:
    pairs = {}
    for text in renames:
        theirs, equals, ours = text.partition("=")
        if not (theirs and equals and ours):
            raise UsageError(f"--map takes THEIRS=OURS, not '{text}'.")
        pairs[theirs] = ours
    return pairs
