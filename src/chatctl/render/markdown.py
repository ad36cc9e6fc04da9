"""The migration's record as Markdown, for a wiki or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatctl.render.envelope import Envelope
from chatctl.render.formats import Format
from chatctl.render.messages import tell_error, tell_warning
from chatctl.render.terminal import Terminal


def write_markdown(envelope: Envelope, output: Format, terminal: Terminal) -> None:
    """Writes the record in `envelope` to stdout, warnings and errors to stderr."""
    if envelope.data:
        terminal.write("\n".join(_lines(envelope.data)) + "\n")
    for warning in envelope.warnings:
        tell_warning(warning, terminal)
    for error in envelope.errors:
        tell_error(error, terminal)


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Migration record {record['id']}: {_text(record['title'])}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| Status | {record['status']} |"
    yield f"| Lead | {_text(record['lead'])} |"
    for contact in record["contacts"]:
        yield f"| {_text(contact['role'])} | {_text(contact['name'])} |"
    yield f"| Started | {record['started']} |"
    yield f"| Finished | {record['finished'] or '–'} |"
    yield f"| Estimated downtime | {_duration(record['estimated_downtime_seconds'])} |"
    yield f"| Downtime | {_duration(record['downtime_seconds'])} |"
    yield f"| Review | {record['review'] or '–'} |"
    yield ""
    yield f"## Completion list: {record['done']} of {len(record['items'])}"
    yield ""
    for item in record["items"]:
        mark = "x" if item["state"] == "done" else " "
        proof = f" ({_text(item['proof'])}, {_text(item['by'])}, {item['at']})" if item["at"] else ""
        yield f"- [{mark}] {_text(item['text'])}{proof}"


def _text(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
