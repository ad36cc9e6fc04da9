"""How `chatctl env` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Paragraph, facts, rows
from chatctl.render.views import Data, view
from chatctl.render.views.findings import FINDING_COLUMNS, findings


@view("env check", principal="findings", columns=FINDING_COLUMNS)
def check(data: Data) -> Iterator[Block]:
    """What was looked at, then each finding."""
    yield facts(data, "files", "environment", "systems", "variables")
    yield from findings(data["findings"])


@view("env diff", principal="changes", columns=("key", "change", "old", "new", "since", "meaning"))
def diff(data: Data) -> Iterator[Block]:
    """The differences."""
    old, new = data["old"], data["new"]
    yield Paragraph(f"{old['file']} ({old['version']}) → {new['file']} ({new['version']}), {data['same']} the same.")
    yield rows(data["changes"], "key", "change", "old", "new", "meaning", empty="No difference.")


@view("env convert", principal="changes", columns=("key", "change", "value"))
def convert(data: Data) -> Iterator[Block]:
    """What was changed, then what somebody has to fill in."""
    yield facts(data, "file", "backup", "from", "to", "environment", "written")
    yield rows(data["changes"], "key", "change", "value", empty="Nothing to change.")
    if data["to_be_given"]:
        yield rows(data["to_be_given"], "key", "why", title="To be filled in")


@view("env secret")
def secret(data: Data) -> Iterator[Block]:
    """The secret, or where it was put."""
    yield facts(data, "key", "secret") if data["file"] is None else facts(data, "key", "file", "backup", "written")
