"""What was wrong with a command line, said the same way as every other error.

Typer finds a mistake before all options are read, so the format of the answer is looked up in the raw arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from chatctl.errors import UsageError
from chatctl.render.formats import Format

_SPELLINGS = ("--output", "-o")


def usage_error(problem: typer.TyperException, program: str) -> tuple[str, UsageError]:
    """The command's words (the program's name at the root) and the error to show for Typer's own."""
    context = getattr(problem, "ctx", None)
    path: str = context.command_path if context is not None else program
    message = "Missing command" if bare_help(problem) else problem.format_message()
    words = path.removeprefix(program).strip() or program
    return words, UsageError(_sentence(message), hint=f"See '{path} --help'.")


def bare_help(problem: typer.TyperException) -> str | None:
    """The help of a group that was called without a command, which Typer raises; None where something else is wrong."""
    message = problem.format_message()
    return message if message.startswith("Usage: ") else None


def _sentence(message: str) -> str:
    return message if message.endswith((".", "?", ")")) else f"{message}."


def asked_output(arguments: Sequence[str], environ: Mapping[str, str]) -> Format:
    """The last --output in `arguments` that is a format, else CHATCTL_OUTPUT, else the table."""
    found = environ.get("CHATCTL_OUTPUT", "")
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        name, equals, value = argument.partition("=")
        if name == "--output" and equals:
            found = value
        elif argument in _SPELLINGS:
            found = next(iter(arguments[position + 1 : position + 2]), found)
        elif argument.startswith("-o") and len(argument) > len("-o"):
            found = argument.removeprefix("-o")
    return Format(found) if found in list(Format) else Format.TABLE
