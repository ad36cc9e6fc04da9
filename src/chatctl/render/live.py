"""A page that is drawn anew while what it shows goes on: on stderr, so that the last one is the answer."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable

from chatctl.domain.progress import StopSignal
from chatctl.domain.result import Result
from chatctl.render.table import draw
from chatctl.render.terminal import Terminal
from chatctl.render.views import Data, view_of

_SECONDS = 1.0
_TICK = 0.1
#: A run in one of these may go on.
_GOING = ("running", "paused")


def watched(command: str, look: Callable[[], Result], terminal: Terminal, stop: StopSignal) -> Result:
    """What `look` answers once the run's `status` says that it ended, or once somebody asked for a stop.

    Until then each answer is drawn: in place on a terminal, off it as one line whenever the figures change.
    """
    show = _in_place if sys.stderr.isatty() else _line_by_line
    return show(command, look, terminal, stop)


def _in_place(command: str, look: Callable[[], Result], terminal: Terminal, stop: StopSignal) -> Result:
    from rich.live import Live
    from rich.text import Text

    with Live(console=terminal.console(sys.stderr), auto_refresh=False, transient=True) as live:
        while True:
            result = look()
            page = io.StringIO()
            draw(view_of(command).page(result.data), terminal, page)
            live.update(Text.from_ansi(page.getvalue()), refresh=True)
            if _over(result, stop):
                return result


def _line_by_line(command: str, look: Callable[[], Result], terminal: Terminal, stop: StopSignal) -> Result:
    last = None
    while True:
        result = look()
        line = _line(result.data)
        if line != last and not terminal.quiet:
            terminal.tell(line)
        last = line
        if _over(result, stop):
            return result


def _over(result: Result, stop: StopSignal) -> bool:
    """Waits for the next look; True where there is none to wait for."""
    if result.data["status"] not in _GOING:
        return True
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and not stop.requested:
        time.sleep(_TICK)
    return stop.requested


def _line(data: Data) -> str:
    phases = data["phases"]
    done, total = (sum(phase[key] for phase in phases) for key in ("ranges_done", "ranges"))
    rows = sum(phase["rows"] for phase in phases)
    return f"{data['run_id']} {data['status']}: {rows:,} rows, {done} of {total} ranges"
