"""`--html FILE`: the answer as a page, besides the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chatctl.cli.runtime import invocation_of
from chatctl.domain.result import Result

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page for a browser, too.")]
Kind = Literal["purge", "counters"]


def with_page(
    ctx: typer.Context, file: Path | None, kind: Kind, work: Callable[[Wiring], Result]
) -> Callable[[Wiring], Result]:
    """`work`, after which its answer is a page in `file`, too."""
    return lambda wiring: page_of(ctx, file, kind, work(wiring))


def page_of(ctx: typer.Context, file: Path | None, kind: Kind, result: Result) -> Result:
    """Writes the page of `result` to `file`, if there is one to write. Raises UsageError where it can't be written."""
    if file is not None:
        write_page(ctx, file, _rendered(kind, result))
    return result


def write_page(ctx: typer.Context, file: Path, text: str) -> None:
    """Writes a page, and says so. Raises UsageError where it can't be written."""
    from chatctl.services.files import write_text

    write_text(file, text)
    terminal = invocation_of(ctx).terminal
    if not terminal.quiet:
        terminal.tell(f"Wrote {file}.")


def _rendered(kind: Kind, result: Result) -> str:
    from chatctl.render.pages.counters import growth_page
    from chatctl.render.pages.purge import stats_page

    return {"purge": stats_page, "counters": growth_page}[kind](result.data)
