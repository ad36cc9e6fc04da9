"""The root of the command line: the global options, the list of commands, and one way out for every error.

`main` returns an exit code and never exits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from chatctl.cli import exit_codes
from chatctl.cli.invocation import Invocation
from chatctl.cli.lazy import load, placeholders
from chatctl.cli.options import declare, global_options, version_option
from chatctl.cli.runtime import fail
from chatctl.cli.unforeseen import named
from chatctl.cli.usage import asked_output, bare_help, usage_error
from chatctl.errors import ChatctlError
from chatctl.render.formats import Format
from chatctl.render.output import write_summary

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter  # Typer has no public names for these

PROGRAM = "chatctl"


class Root(TyperGroup):
    """The root group: its commands are names until one is called."""

    def __init__(self, *, params: list[Any], **attributes: Any) -> None:
        options = [*global_options(params, hidden=False), version_option()]
        super().__init__(**{**attributes, "params": options, "commands": placeholders()})

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Loads the command that was called."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name is not None and command is not None else None, rest

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """The commands, under their panels' headings."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            assert isinstance(command, TyperCommand)
            panels.setdefault(command.rich_help_panel or "", []).append((name, command.help or ""))
        for panel, entries in panels.items():
            with formatter.section(panel):
                formatter.write_dl(entries)


app = typer.Typer(
    name=PROGRAM,
    cls=Root,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
app.callback()(declare)


def _spare_conversion() -> None:
    """Lets Typer take values as they are, for a shell that asks what may come next: nothing is run.

    To convert even what nobody gave it loads pydantic, which takes longer than everything else.
    """
    for kind in (TyperArgument, TyperOption):
        kind.process_value = lambda _self, _context, value: value  # type: ignore[assignment]  # called by position


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (the process's own where `arguments` is None) and returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    invocation = Invocation(arguments=given)
    if "_CHATCTL_COMPLETE" in os.environ:
        _spare_conversion()
    try:
        code = get_command(app).main(given, PROGRAM, standalone_mode=False, obj=invocation)
    except typer.TyperException as problem:
        return _misused(invocation, given, problem)
    except typer.Abort:
        return exit_codes.INTERRUPTED
    except ChatctlError as error:
        return fail(invocation, PROGRAM, error)
    except OSError as error:
        # Most likely stdout itself, so the answer goes to stderr.
        invocation.terminal.give_up_stdout()
        return fail(invocation, PROGRAM, named(error), write_summary)
    except Exception as error:
        return fail(invocation, PROGRAM, named(error))
    return code if isinstance(code, int) else exit_codes.DONE


def _misused(invocation: Invocation, arguments: Sequence[str], problem: typer.TyperException) -> int:
    invocation.output = asked_output(arguments, os.environ)
    help_text = bare_help(problem)
    if help_text and invocation.output in (Format.TABLE, Format.CSV):
        invocation.terminal.tell(help_text)
        return exit_codes.USAGE
    return fail(invocation, *usage_error(problem, PROGRAM))
