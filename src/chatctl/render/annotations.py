"""Writes findings as annotations of GitHub Actions: `::error file=…,line=…,title=…::…`, one a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatctl.render.envelope import Envelope
from chatctl.render.formats import Format
from chatctl.render.messages import tell_error, tell_warning
from chatctl.render.terminal import Terminal


def write_annotations(envelope: Envelope, output: Format, terminal: Terminal) -> None:
    """Writes the findings of `envelope` to stdout, warnings and errors to stderr."""
    for finding in envelope.data.get("findings", ()):
        terminal.write(annotation(finding) + "\n")
    for warning in envelope.warnings:
        tell_warning(warning, terminal)
    for error in envelope.errors:
        tell_error(error, terminal)


def annotation(finding: Mapping[str, Any]) -> str:
    """One finding as a workflow command."""
    file, _, line = finding["where"].rpartition(":")
    place = {"file": file, "line": line} if line.isdigit() else {"file": finding["where"]}
    properties = ",".join(f"{key}={_property(value)}" for key, value in {**place, "title": finding["rule"]}.items())
    text = "\n".join(filter(None, (finding["message"], finding["hint"])))
    return f"::{finding['severity']} {properties}::{_message(text)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
