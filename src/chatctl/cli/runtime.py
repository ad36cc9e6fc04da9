"""Runs a service for a command: builds what it needs, renders what it answers, turns errors into exit codes.

A command's body is `run(ctx, "migrate status", lambda wiring: status(wiring.database()))`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from chatctl.cli import completing, exit_codes
from chatctl.cli.invocation import Invocation
from chatctl.cli.lazy import importing
from chatctl.cli.telling import tell_others
from chatctl.cli.unforeseen import named
from chatctl.domain.progress import Progress, StopSignal
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import ChatctlError, InterruptedRunError
from chatctl.observe.logging import configure_logging
from chatctl.observe.masking import mask
from chatctl.observe.stopping import interrupt_on_termination, stop_on_signals
from chatctl.render.envelope import Envelope
from chatctl.render.formats import Format, LogFormat
from chatctl.render.messages import tell_traceback
from chatctl.render.output import show_on_stderr, write_answer, write_summary
from chatctl.render.progress import progress_for
from chatctl.render.terminal import Terminal

if TYPE_CHECKING:
    from chatctl.wiring import Wiring

Writer = Callable[[Envelope, Format, Terminal], None]


def invocation_of(ctx: typer.Context) -> Invocation:
    """What the global options said."""
    return ctx.ensure_object(Invocation)


def run(
    ctx: typer.Context,
    command: str,
    work: Callable[[Wiring], Result],
    *,
    data_on_stdout: bool = False,
    writer: Writer | None = None,
) -> None:
    """Calls `work` with the wiring of the chosen context, renders its result and ends with its exit code.

    `command` is the command's words ("migrate status"). With `data_on_stdout` the work itself writes the command's
    data to stdout, and the answer goes to stderr. `writer` writes the answer in a format that the command alone has.
    Raises typer.Exit unless the code is 0.
    """

    def wired() -> Result:
        with importing():
            from chatctl.wiring import Wiring

        invocation = invocation_of(ctx)
        return work(invocation.cleanup.enter_context(closing(Wiring(invocation.settings))))

    run_unwired(ctx, command, wired, data_on_stdout=data_on_stdout, writer=writer)


def run_unwired(
    ctx: typer.Context,
    command: str,
    work: Callable[[], Result],
    *,
    data_on_stdout: bool = False,
    writer: Writer | None = None,
) -> None:
    """Like `run`, for what needs no settings or must look at broken ones itself."""
    invocation = invocation_of(ctx)
    writer = writer or (write_summary if data_on_stdout else write_answer)
    configure_logging(sys.stderr, as_json=invocation.log_format is LogFormat.JSON, verbose=invocation.verbose)
    ended: Result | ChatctlError
    try:
        with interrupt_on_termination(), invocation.cleanup:
            ended = result = work()
    except ChatctlError as error:
        ended = error
        code = fail(invocation, command, error, writer)
    except KeyboardInterrupt:
        ended = InterruptedRunError("Interrupted.")
        code = fail(invocation, command, ended, writer)
    except (BrokenPipeError, typer.Exit, typer.Abort, typer.TyperException):
        raise  # whoever read stdout has gone, or Typer's own way out: the root answers these
    except Exception as error:
        ended = named(error)
        code = fail(invocation, command, ended, writer)
    else:
        code = _succeed(invocation, command, result, writer)
    tell_others(ctx, invocation, command, code, ended)
    if code != exit_codes.DONE:
        raise typer.Exit(code)


def progress(ctx: typer.Context) -> Progress:
    """The progress to hand to a service; it is finished when the command ends."""
    invocation = invocation_of(ctx)
    shown = progress_for(invocation.terminal, invocation.log_format)
    invocation.cleanup.callback(shown.finish)
    return shown


def stop(ctx: typer.Context) -> StopSignal:
    """The stop that a long service polls. From this call on the first SIGINT or SIGTERM only requests it."""
    invocation = invocation_of(ctx)
    invocation.cleanup.enter_context(stop_on_signals(invocation.stop, invocation.terminal.tell_from_signal))
    return invocation.stop


def show(ctx: typer.Context, command: str, result: Result) -> None:
    """Shows people, on stderr, what they are about to be asked about: the page of `command`."""
    show_on_stderr(command, result.data, invocation_of(ctx).terminal)


def fail(invocation: Invocation, command: str, error: ChatctlError, writer: Writer = write_answer) -> int:
    """Renders `error` as the answer of `command` and returns its exit code."""
    code = exit_codes.exit_code_for(error)
    if invocation.verbose and error.__cause__ is not None:
        tell_traceback(error.__cause__, invocation.terminal)
    notice = _with_way_on(Notice.of(error), code, invocation)
    _write(invocation, writer, Envelope(command, exit_codes.status_for(code), code, errors=(notice,)))
    return code


def _succeed(invocation: Invocation, command: str, result: Result, writer: Writer) -> int:
    code = exit_codes.OUTCOMES[result.outcome]
    errors = result.errors
    if result.outcome is Outcome.INTERRUPTED and not errors:
        errors = (Notice.of(InterruptedRunError()),)
    envelope = Envelope(
        command,
        exit_codes.status_for(code),
        code,
        result.data,
        result.run_id,
        result.warnings,
        tuple(_with_way_on(notice, code, invocation) for notice in errors),
    )
    _write(invocation, writer, envelope)
    completing.remember(command, result.run_id, result.data)
    return code


def _write(invocation: Invocation, writer: Writer, envelope: Envelope) -> None:
    complete = replace(
        envelope,
        warnings=tuple(dict.fromkeys(map(_masked, (*invocation.warnings, *envelope.warnings)))),
        errors=tuple(map(_masked, envelope.errors)),
    )
    writer(complete, invocation.output, invocation.terminal)


def _with_way_on(notice: Notice, code: int, invocation: Invocation) -> Notice:
    """What stopped before its end says which command goes on, unless its service already did."""
    if code not in exit_codes.RESUMABLE or notice.hint is not None or invocation.command_line is None:
        return notice
    return replace(notice, hint=f"To go on: {invocation.command_line}")


def _masked(notice: Notice) -> Notice:
    return replace(notice, message=mask(notice.message), hint=mask(notice.hint) if notice.hint else None)
