"""The progress bar on a terminal, as Rich draws it. Imported only where a bar is drawn."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TimeRemainingColumn
from rich.text import Text


class _FiguresColumn(ProgressColumn):
    """How many units are done, how many a second, and how the work is going."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        rate = f", {task.speed:,.0f} {unit}/s" if task.speed else ""
        state = f", {task.fields['state']}" if task.fields["state"] else ""
        return Text(f"{task.completed:,.0f} {unit}{rate}{state}")


def bar_on(console: Console) -> Progress:
    """A bar with share, figures and time left, gone when it is stopped; tasks have the fields `unit` and `state`."""
    return Progress(
        BarColumn(),
        TaskProgressColumn(),
        _FiguresColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # Rich would send what is written to stdout meanwhile, which is data, to the bar's stream.
        redirect_stdout=False,
        redirect_stderr=False,
    )
