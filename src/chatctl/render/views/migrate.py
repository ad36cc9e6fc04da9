"""How `chatctl migrate` answers people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatctl.render.blocks import Block, Code, Paragraph, facts, rows
from chatctl.render.views import Data, view

_PENDING = ("revision", "title", "phase")
_DRIFT = ("where", "expected", "actual")
_FINDINGS = ("rule", "severity", "where", "message", "hint", "fix")
_RUNS = ("run_id", "command", "status", "revisions", "by", "host", "started", "seconds", "error")


@view("migrate status", principal="pending", columns=_PENDING)
def status(data: Data) -> Iterator[Block]:
    """Where the database stands, then what is pending, then what keeps it from being recognised."""
    yield facts(data, "layout", "database", "state", "adopted", "current", "heads")
    yield rows(data["pending"], *_PENDING, title="Pending")
    if data["differs"]:
        yield Paragraph("The database differs from every state of the layout:")
        yield Code("\n".join(data["differs"]))


@view("migrate plan", principal="steps", columns=(*_PENDING, "statements"))
def plan(data: Data) -> Iterator[Block]:
    """Each revision with its statements, then what would be lost."""
    yield facts(data, "layout", "direction", "current", "fingerprint")
    if not data["steps"]:
        yield Paragraph("Nothing to do.")
    for step in data["steps"]:
        yield Paragraph(f"{step['revision']}: {step['title']} ({step['phase']})")
        yield Code("\n".join(line for item in step["statements"] for line in _statement(item)) or "-- no statement")
    if data.get("losses"):
        yield rows(data["losses"], "table", "column", "rows", title="Would be lost")


def _statement(item: Mapping[str, Any]) -> Iterator[str]:
    """A statement as SQL that can be copied, what is known of it as comments above."""
    measured = [f"{key}: {item[key]}" for key in ("algorithm", "locks") if item[key] is not None]
    if item["rewrites_table"] is not None:
        measured.append("rewrites the table" if item["rewrites_table"] else "rewrites nothing")
    if item.get("blocks") not in (None, "nothing"):
        seconds = f" for about {item['seconds']:g} s" if item["seconds"] else " for a moment"
        measured.append(f"blocks {item['blocks']}{seconds}")
    if item["rows"] is not None:
        measured.append(f"{item['rows']:,} rows")
    if item["bytes"] is not None:
        measured.append(f"{item['bytes']:,} bytes")
    if measured:
        yield f"-- {', '.join(measured)}"
    for finding in item["findings"]:
        yield f"-- {finding['severity']} {finding['rule']}: {finding['message']}"
        if finding["hint"]:
            yield f"--   {finding['hint']}"
    yield f"{item['sql'].strip().rstrip(';')};"


@view("migrate up", principal="applied")
@view("migrate down", principal="applied")
@view("migrate", principal="applied")
def applied(data: Data) -> Iterator[Block]:
    """What was applied, or taken back; in a dry run the plan."""
    if "steps" in data:
        yield from plan(data)
        return
    verb = "Took back" if data["direction"] == "down" else "Applied"
    if data["applied"]:
        yield facts(data, "layout", "from", "applied", "statements", "resumed")
        count = len(data["applied"])
        yield Paragraph(f"{verb} {count} revision{'s' if count != 1 else ''}.")
    else:
        yield Paragraph("Nothing to do.")


@view("migrate check", principal="drift", columns=_DRIFT)
def check(data: Data) -> Iterator[Block]:
    """What has drifted, then what is pending."""
    yield facts(data, "layout", "current", "ok")
    yield rows(data["drift"], *_DRIFT, title="Drift")
    yield rows(data["pending"], *_PENDING, title="Pending")


@view("migrate lint", principal="findings", columns=_FINDINGS)
def lint(data: Data) -> Iterator[Block]:
    """What was looked at, then each finding with what to do."""
    yield facts(data, "dialect", "sources", "statements")
    if not data["findings"]:
        yield Paragraph("Nothing found.")
    yield from _findings(data)


def _findings(data: Data) -> Iterator[Block]:
    for item in data["findings"]:
        yield Paragraph(
            f"{item['where']}: {item['severity']} {item['rule']}\n  {item['message']}\n  {item['hint'] or ''}"
        )


@view("migrate history", principal="runs", columns=_RUNS)
def history(data: Data) -> Iterator[Block]:
    """The migrations, newest first."""
    yield rows(data["runs"], *_RUNS[:-1], empty="No migration has been run here.")


@view("migrate adopt", principal="differs")
def adopt(data: Data) -> Iterator[Block]:
    """What was recognised, and what the database has besides."""
    yield facts(data, "layout", "state", "revision", "adopted")
    if data["differs"]:
        yield Paragraph("Kept as it is, and no hindrance:")
        yield Code("\n".join(data["differs"]))


@view("migrate sql")
def script(data: Data) -> Iterator[Block]:
    """The script and nothing else, to be sent to a file."""
    yield Code(data["script"].rstrip())


@view("migrate rehearse", principal="checks", columns=("name", "ok", "differs"))
def rehearsed(data: Data) -> Iterator[Block]:
    """The ways that were gone, then what was left over."""
    yield facts(data, "layout", "revisions", "ok")
    yield rows(data["checks"], "name", "ok", title="Checks")
    left = [text for check in data["checks"] for text in check["differs"]]
    if left:
        yield Paragraph("What the way back, or the second way, left otherwise:")
        yield Code("\n".join(left))


@view("migrate revision")
def written(data: Data) -> Iterator[Block]:
    """Where the draft is, and what the linter finds in it."""
    yield facts(data, "revision", "follows", "file", "autogenerated")
    yield from _findings(data)
