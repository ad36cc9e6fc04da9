"""The two streams and what they can take: colours, width, a person to ask.

Nothing is cached: tests and embedders swap sys.stdout.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from chatctl.render.formats import ColorMode

if TYPE_CHECKING:
    from rich.console import Console

#: Off a terminal no line of data is ever wrapped.
_UNBOUNDED_WIDTH = 1_000_000


@dataclass(frozen=True)
class Terminal:
    """How much to say and in which colours; the streams are the process's own."""

    color: ColorMode = ColorMode.AUTO
    quiet: bool = False
    verbose: bool = False

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to answer a question."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    def write(self, text: str) -> None:
        """Data, to stdout as it is."""
        sys.stdout.write(text)
        sys.stdout.flush()

    @property
    def data_stream(self) -> BinaryIO:
        """stdout as bytes, for data that is too much to be rendered."""
        return sys.stdout.buffer

    def give_up_stdout(self) -> None:
        """After a write to stdout has failed: what it still buffers is dropped, or Python would fail again at exit."""
        try:
            stdout = sys.stdout.fileno()
        except OSError:
            return  # not a file of the process's own, so nothing is flushed at exit
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stdout)

    def tell(self, text: str) -> None:
        """A line to stderr as it is."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def tell_from_signal(self, text: str) -> None:
        """A line to stderr from a signal handler, unless --quiet.

        The stream's buffer may be in use by the very call that the signal interrupted, so it is passed by.
        """
        if not self.quiet:
            os.write(sys.stderr.fileno(), f"{text}\n".encode())

    def ask(self, question: str) -> str:
        """Asks on stderr and reads a line from stdin; empty at its end."""
        answer = ""
        try:
            sys.stderr.write(question)
            sys.stderr.flush()
            answer = sys.stdin.readline()
        finally:
            # Ctrl-C and Ctrl-D leave the cursor behind the question.
            if not answer.endswith("\n"):
                sys.stderr.write("\n")
        return answer.strip()

    def colored(self, stream: TextIO) -> bool:
        """Whether escapes may be written to `stream`."""
        if self.color is not ColorMode.AUTO:
            return self.color is ColorMode.ALWAYS
        return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def console(self, stream: TextIO) -> Console:
        """A Rich console that interprets no markup and writes no escapes where none may be."""
        from rich.console import Console

        colored = self.colored(stream)
        return Console(
            file=stream,
            color_system="standard" if colored else None,
            force_terminal=True if colored else None,
            width=None if stream.isatty() else _UNBOUNDED_WIDTH,
            markup=False,
            emoji=False,
            highlight=False,
        )
