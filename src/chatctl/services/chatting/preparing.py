"""The embedded database, made ready on the first start: nobody has to migrate what holds nothing."""

from __future__ import annotations

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.layouts.model import Phase
from chatctl.services.migrate import applying
from chatctl.services.migrate.planning import Options
from chatctl.services.migrate.target import MigrationTarget


def prepare(target: MigrationTarget) -> bool:
    """Makes the layout's tables, where the layout begins with an empty database, or what is missing; whether it did."""
    if not target.layout.starts_empty:
        return False
    last = target.revisions.last_of(Phase.EXPAND)
    with target.database.connect() as connection:
        if last is None or target.whereabouts(connection).heads == (last.id,):
            return False
    applying.apply(target, Options("up"), applying.Attendance(SilentProgress(), StopSignal()))
    return True
