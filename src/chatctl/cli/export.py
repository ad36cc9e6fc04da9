"""`chatctl export`: a table's rows as a file, or to stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.groups import command
from chatctl.cli.import_ import FORMATS, format_named
from chatctl.cli.runtime import invocation_of, progress, run, stop
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

app = command()


@app.command()
def export(
    ctx: typer.Context,
    entity: Annotated[str, typer.Option(metavar="NAME", help="What to export, in the layout's words.")] = "messages",
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", help="The file, packed if it ends in .gz or .zst; - is stdout.")
    ] = "-",
    format: Annotated[
        str | None, typer.Option("--format", metavar=FORMATS, help="The format, where the file's name doesn't tell it.")
    ] = None,
    bson: Annotated[bool, typer.Option("--bson", help="The same as --format bson: extended JSON lines.")] = False,
) -> None:
    """Export rows in the order of their keys: JSON lines, CSV, TSV or BSON extended JSON.

    Example: chatctl export --entity messages --out messages.jsonl.zst
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.transfer.exporting import ExportRequest, export_rows

        if bson and format not in (None, "bson"):
            raise UsageError(f"--bson and --format {format} exclude each other.")
        request = ExportRequest(entity, out, format_named("bson" if bson else format))
        stdout = invocation_of(ctx).terminal.data_stream
        return export_rows(wiring.transfer(read_only=True), request, progress(ctx), stop(ctx), stdout)

    run(ctx, "export", work, data_on_stdout=out == "-")
