"""Plans a regrouping: what it would move and make, measured on the database, which is only read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.domain.grouping import Grouping
from chatctl.domain.plans import fingerprint
from chatctl.domain.result import Notice
from chatctl.errors import StalePlanError
from chatctl.services.regroup.target import RegroupTarget
from chatctl.stores.sql.regroup import counting
from chatctl.stores.sql.regroup.scheme import Scheme

#: How much longer a message takes to be moved than to be looked at: the upper end of what was measured.
_MOVE_PER_LOOK = 12
_SAMPLE = 20_000
#: Bytes that a row takes, indexes included, by what was measured on the servers.
_BYTES_CHAT, _BYTES_UNDO, _BYTES_SPINE, _BYTES_LOG = 420, 260, 220, 700


@dataclass(frozen=True)
class RegroupPlan:
    """What a regrouping would do."""

    data: dict[str, Any]
    warnings: tuple[Notice, ...]


def make_plan(target: RegroupTarget, connection: sa.Connection, grouping: Grouping) -> RegroupPlan:
    """The plan for `grouping`. Raises MissingEntityError where the database lacks what it needs."""
    scheme = target.scheme(grouping)
    target.require(connection, scheme)
    counts = counting.count(connection, scheme)
    data = {
        "fingerprint": _fingerprint(target, connection, grouping),
        "layout": target.layout.name,
        "options": grouping.as_json(),
        "messages_total": counts.total,
        "messages_to_move": counts.to_move,
        "groups": counts.groups,
        "chats_to_create": counts.chats,
        "standalone": counts.standalone,
        "by": list(grouping.by),
        "gap_seconds": grouping.gap_seconds,
        "largest": counts.largest,
        "companions": counts.companions,
        "estimate": _estimate(connection, scheme, counts),
    }
    return RegroupPlan(data, tuple(_warnings(connection, scheme, counts)))


def check_fresh(plan: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Raises StalePlanError where `saved` no longer fits: another schema or layout, or messages that are gone."""
    if saved["fingerprint"] != plan["fingerprint"]:
        raise StalePlanError("The plan no longer fits: the schema or the layout have changed since.")
    if plan["messages_to_move"] < saved["messages_to_move"]:
        gone = saved["messages_to_move"] - plan["messages_to_move"]
        raise StalePlanError(f"The plan no longer fits: {gone:,} of its messages are gone or have a chat now.")


def _fingerprint(target: RegroupTarget, connection: sa.Connection, grouping: Grouping) -> str:
    content = {
        "layout": target.layout.model_dump(mode="json"),
        "options": grouping.as_json(),
        "schema": dict(target.snapshot(connection)),
    }
    return fingerprint(content)


def _estimate(connection: sa.Connection, scheme: Scheme, counts: counting.Counts) -> dict[str, Any]:
    began = time.perf_counter()
    looked = counting.sample(connection, scheme, _SAMPLE)
    seconds = (time.perf_counter() - began) / looked * counts.to_move * _MOVE_PER_LOOK if looked else 0.0
    spine = counts.to_move * _BYTES_SPINE if scheme.grouping.gap_seconds is not None else 0
    return {
        "seconds": round(seconds, 1),
        "chats_bytes": counts.chats * _BYTES_CHAT,
        "undo_bytes": counts.chats * _BYTES_UNDO + spine,
        "log_bytes": counts.to_move * _BYTES_LOG,
    }


def _warnings(connection: sa.Connection, scheme: Scheme, counts: counting.Counts) -> list[Notice]:
    warnings = []
    if not counting.link_is_indexed(connection, scheme):
        warnings.append(
            Notice(
                "missing_index",
                f"{scheme.messages.name}.{scheme.link.name} has no index: times, counts and undo take a whole scan of"
                f" {counts.total:,} messages each.",
                f"chatctl migrate up makes one; else create an index that starts with {scheme.link.name}.",
            )
        )
    for entity, missing in counts.companions.items():
        if missing:
            warnings.append(
                Notice(
                    "missing_rows",
                    f"{missing:,} rows are missing in '{scheme.tables[entity].name}' that chats must refer to;"
                    " the run makes them.",
                    "To keep those messages without chats, narrow the run with --user, or add the rows first.",
                )
            )
    return warnings
