"""Pages drawn off a terminal: text stays as it is, and a row stays on its line."""

from __future__ import annotations

import io

from chatctl.render.blocks import Block, Code, Facts, Paragraph, Rows
from chatctl.render.table import draw
from chatctl.render.terminal import Terminal


def drawn(*blocks: Block) -> str:
    """What `blocks` look like in a file."""
    stream = io.StringIO()
    draw(blocks, Terminal(), stream)
    return stream.getvalue()


def test_code_is_written_byte_for_byte() -> None:
    sql = "INSERT INTO t VALUES ('a\tb  \x01 [bold]');  \n-- end"

    assert drawn(Code(sql)) == f"{sql}\n"


def test_a_row_is_one_line_whatever_its_cells_hold() -> None:
    page = drawn(Rows(("a", "b"), (("x\u2028y\x85z\n", "w" * 5_000),)))

    assert page.count("\n") == 2
    assert "w" * 5_000 in page


def test_an_empty_table_says_so_unless_told_not_to() -> None:
    assert drawn(Rows(("a",), (), title="pending")) == "Pending\nnone\n"
    assert drawn(Rows(("a",), (), empty=None)) == ""


def test_blocks_are_set_apart_by_an_empty_line() -> None:
    assert drawn(Facts((("a", 1), ("bc", None))), Paragraph("Done.")) == "a   1\nbc\n\nDone.\n"
