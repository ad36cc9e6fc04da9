"""A database that a layout's revisions are run on one by one, without the migrate service."""

from __future__ import annotations

from chatctl.layouts import Layout, Phase
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot
from chatctl.stores.sql.revisions import Direction, Revision, Revisions


class Migrated:
    """A database, and a layout's revisions to run on it one by one."""

    def __init__(self, layout: Layout, database: Database) -> None:
        self.layout = layout
        self.database = database
        self.revisions = Revisions(layout.name, database.dialect)

    def step(self, revision: Revision, direction: Direction) -> None:
        with self.database.engine.connect() as connection, self.database.dialect.changing_schema(connection):
            self.revisions.run(connection, revision, direction)
            if connection.in_transaction():
                connection.commit()

    def up_to(self, phase: Phase) -> None:
        for revision in self.revisions.chain:
            if phase.at_least(revision.phase):
                self.step(revision, "up")

    def snapshot(self) -> dict[str, str]:
        with self.database.connect() as connection:
            return take_snapshot(connection)
