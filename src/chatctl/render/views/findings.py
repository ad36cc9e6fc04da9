"""Findings, as every command that has some shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chatctl.render.blocks import Block, Paragraph

FINDING_COLUMNS = ("rule", "severity", "where", "message", "hint", "fix")


def findings(items: Iterable[Mapping[str, Any]]) -> Iterator[Block]:
    """Each finding with what to do, errors first; a sentence where there is none."""
    order = ("error", "warning", "note")
    listed = sorted(items, key=lambda item: order.index(item["severity"]))
    if not listed:
        yield Paragraph("Nothing found.")
    for item in listed:
        lines = [f"{item['where']}: {item['severity']} {item['rule']}", f"  {item['message']}"]
        lines += [f"  {text}" for text in (item["hint"], item["fix"]) if text]
        yield Paragraph("\n".join(lines))
