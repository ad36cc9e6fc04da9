"""Writes an answer: data to stdout in the format that was asked for, everything else to stderr."""

from __future__ import annotations

import sys

from chatctl.render.csvtext import as_csv
from chatctl.render.documents import as_json, as_yaml
from chatctl.render.envelope import Envelope
from chatctl.render.formats import Format
from chatctl.render.messages import tell_error, tell_warning
from chatctl.render.terminal import Terminal
from chatctl.render.views import Data, view_of


def write_answer(envelope: Envelope, output: Format, terminal: Terminal) -> None:
    """Writes `envelope`. JSON and YAML hold warnings and errors; beside a table or CSV these go to stderr."""
    match output:
        case Format.JSON:
            terminal.write(as_json(envelope))
        case Format.YAML:
            terminal.write(as_yaml(envelope))
        case Format.CSV:
            if envelope.data:
                terminal.write(as_csv(view_of(envelope.command), envelope.data))
            _tell_notices(envelope, terminal)
        case Format.TABLE:
            if envelope.data:
                _draw(envelope.command, envelope.data, terminal, to_stderr=False)
            _tell_notices(envelope, terminal)


def write_summary(envelope: Envelope, output: Format, terminal: Terminal) -> None:
    """Like `write_answer` where stdout already holds the command's data: everything goes to stderr."""
    if output in (Format.JSON, Format.YAML):
        terminal.tell((as_json if output is Format.JSON else as_yaml)(envelope).rstrip("\n"))
        return
    if envelope.data and not terminal.quiet:
        _draw(envelope.command, envelope.data, terminal, to_stderr=True)
    _tell_notices(envelope, terminal)


def show_on_stderr(command: str, data: Data, terminal: Terminal) -> None:
    """The page of `command` on stderr: what somebody looks at before they say yes."""
    _draw(command, data, terminal, to_stderr=True)


def _draw(command: str, data: Data, terminal: Terminal, *, to_stderr: bool) -> None:
    from chatctl.render.table import draw

    draw(view_of(command).page(data), terminal, sys.stderr if to_stderr else sys.stdout)


def _tell_notices(envelope: Envelope, terminal: Terminal) -> None:
    for warning in envelope.warnings:
        tell_warning(warning, terminal)
    for error in envelope.errors:
        tell_error(error, terminal)
