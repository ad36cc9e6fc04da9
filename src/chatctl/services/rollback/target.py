"""What a rollback works on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chatctl.services.backup.parts import System
from chatctl.services.migrate.target import MigrationTarget
from chatctl.services.purge.target import PurgeTarget
from chatctl.services.regroup.target import RegroupTarget
from chatctl.stores.repository import Repository
from chatctl.stores.sql.journal import Journal

KIND = "rollback run"
#: The lock under which one rollback of a database runs, and what its run works on.
LOCK = "rollback"


@dataclass(frozen=True)
class RollbackTarget:
    """One system with everything that may have to go back; `.env` and `.env.backup` are looked for in `folder`."""

    context: str
    migration: MigrationTarget
    regroup: RegroupTarget
    purge: PurgeTarget
    system: System
    repository: Repository
    folder: Path

    @property
    def journal(self) -> Journal:
        """Where the runs are."""
        return self.migration.journal

    @property
    def layout_name(self) -> str:
        """What the journal calls the layout."""
        return self.migration.layout.name
