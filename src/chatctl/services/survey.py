"""Which layouts a database fits: what `init` asks before anybody has named one. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chatctl.layouts import Layout, Phase
from chatctl.services.migrate.recognition import Recognition, StateName, recognise
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import Snapshot, columns_present, snapshot_of_layout, take_snapshot


def survey(database: Database, candidates: Mapping[str, Layout]) -> list[tuple[str, StateName]]:
    """The `candidates` (by the name that a configuration gives them) that `database` fits, best first.

    Those whose before or after it is exactly; only where there are none, those between the two. A file that isn't
    there is an empty database, and is not created. Raises CannotConnectError.
    """
    snapshot = _snapshot(database, candidates.values())
    seen = {name: recognise(layout, snapshot) for name, layout in candidates.items()}
    exact = [name for name, found in seen.items() if found.phase and not _only_empty(candidates[name], found, snapshot)]
    chosen = exact or [name for name, found in seen.items() if found.state == "mixed"]
    # Of two layouts that share tables, the one that explains more of what is there is meant.
    chosen.sort(key=lambda name: (-_explained(candidates[name], snapshot), name))
    return [(name, seen[name].state) for name in chosen]


def _snapshot(database: Database, layouts: Iterable[Layout]) -> Snapshot:
    """The database's own schema whole, and of others the tables that a layout names."""
    if not database.exists:
        return {}
    with database.connect() as connection:
        found = take_snapshot(connection)
        for layout in layouts:
            if any(entity.schema_ for entity in layout.entities.values()):
                found |= snapshot_of_layout(connection, layout)
    return found


def _only_empty(layout: Layout, found: Recognition, snapshot: Snapshot) -> bool:
    """Whether the layout fits for lack of tables alone, although the database holds some."""
    return bool(snapshot) and found.phase is Phase.LEGACY and layout.starts_empty


def _explained(layout: Layout, snapshot: Snapshot) -> int:
    """How many of the database's columns are the layout's."""
    there = columns_present(snapshot)
    declared = {(entity.path, column.name) for entity in layout.entities.values() for column in entity.columns.values()}
    return sum(column in there.get(table, ()) for table, column in declared)
