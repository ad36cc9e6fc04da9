"""Shows how far a long piece of work is: a bar on a terminal, a line every few seconds off it, all on stderr."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from chatctl.domain.progress import Progress, SilentProgress
from chatctl.observe.logging import LOGGER_NAME
from chatctl.observe.masking import mask
from chatctl.render.cells import harmless
from chatctl.render.formats import LogFormat
from chatctl.render.terminal import Terminal

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 5.0


def progress_for(terminal: Terminal, log_format: LogFormat) -> Progress:
    """The progress that suits stderr: JSON log lines, nothing with --quiet, a bar, or plain lines."""
    if log_format is LogFormat.JSON:
        return LineProgress(log_line)
    if terminal.quiet:
        return SilentProgress()
    if sys.stderr.isatty():
        return BarProgress(terminal)
    return LineProgress(lambda text, **_: terminal.tell(text))


def log_line(text: str, **fields: object) -> None:
    """A progress line in the log, its figures as fields of their own."""
    logging.getLogger(f"{LOGGER_NAME}.progress").info(text, extra={"fields": fields})


class LineProgress:
    """A line now and then: done, total, share, rate and the time left."""

    def __init__(self, tell: Callable[..., None], clock: Callable[[], float] = time.monotonic) -> None:
        """`tell` takes a line and its figures by name; `clock` gives seconds."""
        self._tell = tell
        self._clock = clock
        self._done = 0
        self._total: int | None = None
        self._unit = ""
        self._state = ""
        self._running = False
        self._started = self._told = clock()

    def start(self, total: int | None, unit: str) -> None:
        """Begins to count from zero."""
        self._done, self._total, self._unit, self._state = 0, total, unit, ""
        self._started = self._told = self._clock()
        self._running = True

    def advance(self, count: int) -> None:
        """Counts, and tells when the last line is long enough ago."""
        self._done += count
        if self._clock() - self._told >= SECONDS_BETWEEN_LINES:
            self._tell_line()

    def state(self, text: str) -> None:
        """Stands at the end of the next line."""
        self._state = text

    def note(self, text: str) -> None:
        """Tells at once."""
        self._tell(harmless(mask(text)))

    def finish(self) -> None:
        """Tells the last figures, once, and only where there are any."""
        if self._running and self._done:
            self._tell_line()
        self._running = False

    def _tell_line(self) -> None:
        now = self._clock()
        seconds = now - self._started
        rate = self._done / seconds if seconds > 0 else 0.0
        left = (self._total - self._done) / rate if self._total and rate else None
        self._told = now
        self._tell(
            _line(self._done, self._total, self._unit, rate, left, self._state),
            done=self._done, total=self._total, unit=self._unit, per_second=round(rate, 1),
            seconds_left=None if left is None else round(left, 1), state=self._state or None,
        )  # fmt: skip


def _line(done: int, total: int | None, unit: str, rate: float, left: float | None, state: str) -> str:
    share = f" of {total:,} {unit} ({done / total:.0%})" if total else f" {unit}"
    remaining = f", {left:,.0f} s left" if left else ""
    return f"{done:,}{share}, {rate:,.0f} {unit}/s{remaining}{', ' if state else ''}{state}"


class BarProgress:
    """A bar with rate and time left, drawn by Rich; gone when the work is over."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def start(self, total: int | None, unit: str) -> None:
        """Draws an empty bar; one that stands there already is replaced."""
        from chatctl.render.bar import bar_on

        self.finish()
        self._bar = bar_on(self._terminal.console(sys.stderr))
        self._task = self._bar.add_task("", total=total, unit=unit, state="")
        self._bar.start()

    def advance(self, count: int) -> None:
        """Moves the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)

    def state(self, text: str) -> None:
        """Stands behind the figures."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, state=text)

    def note(self, text: str) -> None:
        """A line above the bar."""
        line = harmless(mask(text))
        if self._bar is None:
            self._terminal.tell(line)
        else:
            self._bar.console.print(line, soft_wrap=True)

    def finish(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
