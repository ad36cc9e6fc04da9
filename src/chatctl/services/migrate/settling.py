"""Settles a statement that a kill left in doubt, by what it was to change in the schema.

A statement runs once, whole or not at all, on every engine that chatctl knows; what may stay half done is in each
engine's manners. Others may change the schema while a run lies dead, so only what the statement names is looked at.
"""

from __future__ import annotations

from chatctl.domain.plans import fingerprint
from chatctl.stores.sql.inspection import Snapshot
from chatctl.stores.sql.journal.statements import LoggedStatement
from chatctl.stores.sql.statements import Statement


def touched(snapshot: Snapshot, statement: Statement) -> str:
    """The fingerprint of the tables and indexes that the statement names, as they are in `snapshot`.

    An index that is there without holding counts as whole: dropping it concurrently begins so.
    """
    named = tuple(
        path for path, text in snapshot.items() if text == "table" and statement.names(path.rpartition("/")[2])
    )
    parts = tuple(f"{path}{separator}" for path in named for separator in (".", " "))
    return fingerprint(
        {
            path: text.removesuffix(" INVALID")
            for path, text in snapshot.items()
            if path in named or path.startswith(parts) or _names_index(statement, path)
        }
    )


def has_begun(entry: LoggedStatement, snapshot: Snapshot, statement: Statement) -> bool:
    """Whether the schema shows an effect of the statement, which was intended when `entry` was written."""
    return entry.schema_before != touched(snapshot, statement)


def _names_index(statement: Statement, path: str) -> bool:
    index = path.partition(" index ")[2]
    return bool(index) and statement.names(index)
