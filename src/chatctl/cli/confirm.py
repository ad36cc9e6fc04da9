"""Consent: a command that changes something asks here, once, after it has shown what it would do."""

from __future__ import annotations

import typer

from chatctl.cli.invocation import Invocation
from chatctl.cli.runtime import invocation_of
from chatctl.errors import ConsentRequiredError


def consent(ctx: typer.Context, question: str, *, loses_data: bool = False) -> None:
    """Returns if the caller agrees to `question` ("Apply 3 revisions to 'prod'?"), else raises ConsentRequiredError.

    What loses data, and everything on a protected context, needs the context's name, by --confirm or typed on a
    terminal; the rest is content with --yes or a y. Without a terminal, or with --no-input, nobody is asked.
    """
    invocation = invocation_of(ctx)
    name = invocation.settings.context_name
    needs_name = loses_data or invocation.settings.protected
    confirmed: str | None = ctx.params.get("confirm")
    if confirmed is not None:
        if confirmed != name:
            raise ConsentRequiredError(
                f"--confirm names '{confirmed}', but this is the context '{name}'.",
                hint=f"If '{name}' is the one you mean: --confirm {name}",
            )
        return
    if invocation.yes and not needs_name:
        return
    if invocation.no_input or not invocation.terminal.interactive:
        raise _required(question, name, needs_name=needs_name, loses_data=loses_data)
    if not _agrees(invocation, question, name if needs_name else None):
        raise ConsentRequiredError("Nobody said yes; nothing was changed.", hint=_flag(name, needs_name=needs_name))


def _agrees(invocation: Invocation, question: str, name: str | None) -> bool:
    if name is not None:
        return invocation.terminal.ask(f"{question} Type the context's name ({name}) to go on: ") == name
    return invocation.terminal.ask(f"{question} [y/N] ").lower() in ("y", "yes")


def _required(question: str, name: str, *, needs_name: bool, loses_data: bool) -> ConsentRequiredError:
    if not needs_name:
        why = "Nobody is there to answer"
    elif loses_data:
        why = "This may lose data, so --yes is not enough"
    else:
        why = f"The context '{name}' is protected, so --yes is not enough"
    return ConsentRequiredError(f"{why}: {question}", hint=_flag(name, needs_name=needs_name))


def _flag(name: str, *, needs_name: bool) -> str:
    return f"Add --confirm {name}" if needs_name else "Add --yes"
