"""Tells from tables and columns alone which of a layout's states a database is in.

Extra columns, other widths, missing indexes and foreign keys don't matter: an application's database was made by
hands that chatctl never saw.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chatctl.layouts.model import Layout, Phase
from chatctl.stores.sql.inspection import Snapshot, columns_present

StateName = Literal["before", "mixed", "after", "unknown"]

_STATE_OF: dict[Phase, StateName] = {Phase.LEGACY: "before", Phase.EXPAND: "after", Phase.CONTRACT: "after"}


@dataclass(frozen=True)
class Recognition:
    """What a database looks like. `phase` is None unless it fits one exactly; `differs` says what keeps it from it."""

    state: StateName
    phase: Phase | None
    differs: tuple[str, ...] = ()


def recognise(layout: Layout, snapshot: Snapshot) -> Recognition:
    """The state of a database whose schema is `snapshot`.

    It is `before` or `after` where everything that the state declares is there and nothing that belongs to
    another state alone; `mixed` where parts of both are there; `unknown` otherwise.
    """
    present = _present(layout, snapshot)
    mismatches = {phase: _mismatches(layout, phase, present) for phase in Phase}
    for phase in Phase:
        if not mismatches[phase]:
            return Recognition(_STATE_OF[phase], phase)
    nearest = min(Phase, key=lambda phase: len(mismatches[phase]))
    legacy, later = _items(layout, Phase.LEGACY), _later_items(layout)
    has_legacy = bool(legacy & present) or layout.starts_empty
    state: StateName = "mixed" if has_legacy and later & present else "unknown"
    return Recognition(state, None, _in_short(mismatches[nearest]))


def _present(layout: Layout, snapshot: Snapshot) -> set[str]:
    columns = columns_present(snapshot)
    found: set[str] = set()
    for key, entity in layout.entities.items():
        if entity.path in columns:
            found.add(key)
            names = columns[entity.path]
            found.update(f"{key}.{word}" for word, column in entity.columns.items() if column.name in names)
    return found


def _mismatches(layout: Layout, phase: Phase, present: set[str]) -> list[str]:
    declared = layout.states.get("before" if phase is Phase.LEGACY else "after")
    wanted = set(declared.has) if declared else _items(layout, phase)
    unwanted = set(declared.lacks) if declared else _items_of_any_phase(layout) - _items(layout, phase, optional=True)
    missing = [f"{item} is missing" for item in sorted(wanted - present)]
    return missing + [f"{item} is there" for item in sorted(unwanted & present) if item not in wanted]


def _in_short(differs: list[str]) -> tuple[str, ...]:
    """Without the columns of tables that differ as a whole."""
    whole = {text for text in differs if "." not in text}
    return tuple(text for text in differs if text in whole or re.sub(r"\.\S+", "", text) not in whole)


def _items(layout: Layout, phase: Phase, *, optional: bool = False) -> set[str]:
    return set(_walk(layout, phase, optional=optional))


def _items_of_any_phase(layout: Layout) -> set[str]:
    return set().union(*(_items(layout, phase, optional=True) for phase in Phase))


def _later_items(layout: Layout) -> set[str]:
    return _items_of_any_phase(layout) - _items(layout, Phase.LEGACY, optional=True)


def _walk(layout: Layout, phase: Phase, *, optional: bool) -> Iterator[str]:
    for key, entity in layout.entities_at(phase).items():
        if entity.optional and not optional:
            continue
        yield key
        for word, column in entity.columns_at(phase).items():
            if optional or not column.optional:
                yield f"{key}.{word}"
