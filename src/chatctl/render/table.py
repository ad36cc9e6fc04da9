"""Draws a page of blocks for people: aligned columns, no borders, one row a line off a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from rich.table import Table
from rich.text import Text

from chatctl.render.blocks import Block, Code, Facts, Paragraph, Rows
from chatctl.render.cells import for_people, harmless
from chatctl.render.terminal import Terminal

if TYPE_CHECKING:
    from rich.console import Console

_TITLE = "bold"
_HEADER = "bold"
_LABEL = "dim"


def draw(blocks: Iterable[Block], terminal: Terminal, stream: TextIO) -> None:
    """Writes `blocks` to `stream`, an empty line between two of them."""
    console = terminal.console(stream)
    stream.write("\n".join(_drawn(block, console, stream) for block in blocks))
    stream.flush()


def _drawn(block: Block, console: Console, stream: TextIO) -> str:
    if isinstance(block, Code):
        # Past Rich, which would expand tabs; and in a file even a control character inside a literal is data.
        return f"{harmless(block.text) if stream.isatty() else block.text}\n"
    with console.capture() as capture:
        _draw_block(block, console)
    # Rich pads a row's last column with blanks, which nobody wants in a file or a paste.
    return "\n".join(line.rstrip() for line in capture.get().split("\n"))


def _draw_block(block: Facts | Rows | Paragraph, console: Console) -> None:
    match block:
        case Facts():
            _title(block.title, console)
            console.print(_grid(block.pairs))
        case Rows():
            _title(block.title, console)
            if block.rows:
                console.print(_table(block))
            elif block.empty is not None:
                console.print(Text(block.empty, style=_LABEL))
        case Paragraph():
            console.print(Text(harmless(block.text)))


def _title(title: str | None, console: Console) -> None:
    if title is not None:
        console.print(Text(f"{title[:1].upper()}{title[1:]}", style=_TITLE))


def _grid(pairs: Iterable[tuple[str, Any]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style=_LABEL)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(harmless(name)), Text(for_people(value)))
    return grid


def _table(block: Rows) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=_HEADER)
    for position, column in enumerate(block.columns):
        numeric = all(type(row[position]) in (int, float) for row in block.rows)
        table.add_column(Text(harmless(column.upper())), justify="right" if numeric else "left", overflow="fold")
    for row in block.rows:
        table.add_row(*(Text(for_people(value)) for value in row))
    return table
