"""Warnings, errors and notes for people, on stderr."""

from __future__ import annotations

import sys
import traceback

from chatctl.domain.result import Notice
from chatctl.observe.masking import mask
from chatctl.render.cells import harmless
from chatctl.render.terminal import Terminal

_STYLES = {"error": "bold red", "warning": "bold yellow", "hint": "cyan", "docs": "dim"}


def tell_error(notice: Notice, terminal: Terminal) -> None:
    """`error: ...`, then its hint and its page of the docs, each on a line of its own."""
    _tell("error", notice.message, terminal)
    if notice.hint:
        _tell("hint", notice.hint, terminal)
    if notice.docs:
        _tell("docs", notice.docs, terminal)


def tell_warning(notice: Notice, terminal: Terminal) -> None:
    """`warning: ...`, then its hint."""
    _tell("warning", notice.message, terminal)
    if notice.hint:
        _tell("hint", notice.hint, terminal)


def tell_step(why: str, command: str, terminal: Terminal) -> None:
    """Why a command of a longer procedure is run, then the command as it could be typed."""
    from rich.text import Text

    console = terminal.console(sys.stderr)
    console.print(Text.assemble("\n", ("# ", "dim"), (harmless(why), "dim")), soft_wrap=True)
    console.print(Text.assemble(("$ ", "bold green"), (harmless(command), "bold")), soft_wrap=True)


def tell_traceback(error: BaseException, terminal: Terminal) -> None:
    """Where an unexpected error came from, secrets masked."""
    terminal.tell(mask("".join(traceback.format_exception(error)).rstrip()))


def _tell(kind: str, text: str, terminal: Terminal) -> None:
    from rich.text import Text

    line = Text.assemble((f"{kind}: ", _STYLES[kind]), harmless(text))
    terminal.console(sys.stderr).print(line, soft_wrap=True)
