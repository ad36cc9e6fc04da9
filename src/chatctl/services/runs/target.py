"""What the runs commands work on."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chatctl.errors import CannotConnectError, NotFoundError
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal, Run


@dataclass(frozen=True)
class RunsTarget:
    """A database and its journal."""

    database: Database
    journal: Journal

    def require(self, connection: sa.Connection) -> None:
        """Raises NotFoundError where chatctl has never done anything here."""
        if not self.journal.exists(connection):
            raise NotFoundError(f"{self.database.where} has no journal: chatctl hasn't run anything here.")

    def get(self, run_id: str) -> Run:
        """The run called `run_id`; raises NotFoundError, CannotConnectError where there is no database file."""
        if not self.database.exists:
            raise CannotConnectError(f"{self.database.where}: there is no such file.", hint="Check the path.")
        with self.database.connect() as connection:
            self.require(connection)
            return self.journal.runs.get(connection, run_id)
