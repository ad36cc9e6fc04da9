"""What a command module makes its `app` with."""

from __future__ import annotations

import typer


def group(help_text: str, *, runs_alone: bool = False) -> typer.Typer:
    """An app with commands of its own below it; without one it shows its help.

    With `runs_alone` it does something by itself too, and its module declares what with `@app.callback()`.
    """
    app = typer.Typer(
        help=help_text,
        no_args_is_help=not runs_alone,
        invoke_without_command=runs_alone,
        add_completion=False,
        rich_markup_mode=None,
    )
    # Without a callback Typer would turn a group of one command into that command.
    app.callback()(_nothing)
    return app


def command() -> typer.Typer:
    """An app that is one command: its module declares it with `@app.command()`."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def _nothing() -> None:
    return None
